package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/coder/websocket"

	"rocca/internal/aws/client"
)

// service is the name that the tunnel's request is signed for.
const service = "ec2-instance-connect"

// longest is how long a tunnel may be open, in seconds: as long as AWS allows.
const longest = 3600

// SSH is the port of SSH, one of the two that an endpoint connects to.
const SSH = 22

// Tunnel connects a stream with a port of an instance, through the EC2 Instance
// Connect Endpoint of its network. It returns when either side is done.
func Tunnel(ctx context.Context, c client.Config, i Instance, port int, stream io.ReadWriter) error {
	endpoint, err := endpointOf(ctx, c, i)
	if err != nil {
		return err
	}
	address, err := tunnelAddress(ctx, c, "https://"+aws.ToString(endpoint.DnsName), aws.ToString(endpoint.InstanceConnectEndpointId), i.Address, port)
	if err != nil {
		return fmt.Errorf("open a tunnel to %s: %w", i.ID, err)
	}
	return carry(ctx, address, i.ID, stream)
}

// endpointOf finds the endpoint of the instance's network.
func endpointOf(ctx context.Context, c client.Config, i Instance) (types.Ec2InstanceConnectEndpoint, error) {
	// A network has one, or very few: one page.
	answer, err := ec2.NewFromConfig(c).DescribeInstanceConnectEndpoints(ctx, &ec2.DescribeInstanceConnectEndpointsInput{
		Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{i.VPC}}},
	})
	if err != nil {
		return types.Ec2InstanceConnectEndpoint{}, fmt.Errorf("find the endpoint of EC2 Instance Connect: %w", client.Explain(err))
	}
	for _, e := range answer.InstanceConnectEndpoints {
		if e.State == types.Ec2InstanceConnectEndpointStateCreateComplete {
			return e, nil
		}
	}
	return types.Ec2InstanceConnectEndpoint{}, fmt.Errorf("find the endpoint of EC2 Instance Connect: the network %s has none that is ready\nhint: rocca aws plan", i.VPC)
}

// tunnelAddress is the signed address of a tunnel, good for a minute.
func tunnelAddress(ctx context.Context, c client.Config, endpoint, id, address string, port int) (string, error) {
	u, err := url.Parse(endpoint + "/openTunnel")
	if err != nil {
		return "", err
	}
	u.RawQuery = url.Values{
		"instanceConnectEndpointId": {id}, "privateIpAddress": {address}, "remotePort": {strconv.Itoa(port)},
		"maxTunnelDuration": {strconv.Itoa(longest)},
	}.Encode()
	return client.Presign(ctx, c, service, http.MethodGet, u, time.Minute)
}

// carry copies bytes both ways through a WebSocket.
func carry(ctx context.Context, address, name string, stream io.ReadWriter) error {
	socket, answer, err := websocket.Dial(ctx, address, nil) //nolint:bodyclose // Dial closes it
	if err != nil {
		// The address is signed: it stays out of the message.
		status := ""
		if answer != nil {
			status = ": " + answer.Status
		}
		return fmt.Errorf("open a tunnel to %s: the endpoint refused%s\nhint: may this identity call ec2-instance-connect:OpenTunnel, and does the endpoint's group reach port 22?", name, status)
	}
	defer func() { _ = socket.CloseNow() }()
	socket.SetReadLimit(-1)
	conn := websocket.NetConn(ctx, socket, websocket.MessageBinary)
	ended := make(chan error, 2)
	go func() { _, err := io.Copy(conn, stream); ended <- err }()
	go func() { _, err := io.Copy(stream, conn); ended <- err }()
	if err := <-ended; err != nil && !errors.Is(err, io.EOF) && websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		return fmt.Errorf("tunnel to %s: %w", name, err)
	}
	_ = socket.Close(websocket.StatusNormalClosure, "") // the other side may have been first
	return nil
}
