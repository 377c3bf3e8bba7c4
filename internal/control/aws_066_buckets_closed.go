package control

import (
	"encoding/json"

	"rocca/internal/control/iampolicy"
	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws066 = Control{
	ID:       "AWS-66",
	Title:    "buckets are private, asked over TLS only, encrypted, and cleaned up by a rule",
	Why:      "Public buckets are found by name within hours. Logs in them tell of every visitor, copies of the database of everything; one line in a policy opens them, and only the block above all policies stops that line.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudBuckets},
	Eval:     inspected(bucketsClosed),
	Fix:      remedied("block public access, deny requests without TLS, encrypt by default, switch off ACLs, and let a lifecycle rule end what nobody needs", bucketsClosed),
	Maps:     []model.Ref{fsbp("S3.1"), fsbp("S3.2"), fsbp("S3.3"), fsbp("S3.5"), fsbp("S3.8"), fsbp("S3.13"), cisAWS("3.1.1"), cisAWS("3.1.4"), s1("4")},
	Since:    "0.6",
}

func bucketsClosed(v *View) inspection {
	found := inspection{absent: "there is no bucket"}
	for _, b := range v.Cloud.Buckets {
		if !v.concerns(b.Tags, "") {
			continue
		}
		found.absent = ""
		subject, wrong := "bucket "+b.Name, len(found.faults)
		if !b.BlockPublic {
			found.against(subject, "public access is not blocked", "blocked", blockPublic(v, b))
		}
		v.letsIn(&found, subject, b.Policy)
		switch refused, err := v.refusesPlaintext(b); {
		case err != nil: // letsIn has told
		case !refused:
			found.against(subject, "answers requests without TLS", "a policy that denies them", denyPlaintext(v, b))
		}
		if b.Encryption == "" {
			found.against(subject, "not encrypted by default", "encrypted", Change{Sentence: "encrypt what is written to the " + subject, Command: v.commandLine("s3api", "put-bucket-encryption", "--bucket", b.Name,
				"--server-side-encryption-configuration", `{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}`)})
		}
		if b.ACLs {
			found.against(subject, "lists of access rights (ACLs) still count", "the owner of the bucket owns all", Change{})
		}
		if !b.Lifecycle {
			found.against(subject, "no rule ends what is old or incomplete", "a lifecycle rule", Change{})
		}
		if len(found.faults) == wrong {
			found.shows(subject, "private, TLS only, encrypted ("+b.Encryption+"), with a lifecycle")
		}
	}
	return found
}

// refusesPlaintext tells whether the policy of a bucket denies everybody to read
// and write without TLS.
func (v *View) refusesPlaintext(b facts.Bucket) (bool, error) {
	if b.Policy == "" {
		return false, nil
	}
	policy, err := iampolicy.Parse("of bucket "+b.Name, b.Policy)
	if err != nil {
		return false, err
	}
	for _, action := range []string{"s3:GetObject", "s3:PutObject"} {
		answer := iampolicy.Decide(iampolicy.Request{
			Principal: "arn:aws:iam::000000000000:user/anybody", Action: action, Resource: "arn:" + v.partition() + ":s3:::" + b.Name + "/any/object",
			Known: iampolicy.Known{"aws:securetransport": "false"},
		}, policy)
		if !answer.Denied {
			return false, nil
		}
	}
	return true, nil
}

// denyPlaintext is the policy of a bucket that has none.
func denyPlaintext(v *View, b facts.Bucket) Change {
	if b.Policy != "" {
		return Change{} // it would be replaced
	}
	arn := "arn:" + v.partition() + ":s3:::" + b.Name
	policy, _ := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": []any{map[string]any{ // texts always can be written
		"Sid": "OnlyTLS", "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": []string{arn, arn + "/*"},
		"Condition": map[string]any{"Bool": map[string]string{"aws:SecureTransport": "false"}},
	}}})
	return Change{Sentence: "deny requests to the bucket " + b.Name + " without TLS", Command: v.commandLine("s3api", "put-bucket-policy", "--bucket", b.Name, "--policy", string(policy))}
}
