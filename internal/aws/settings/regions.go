package settings

import (
	"slices"
	"strings"
)

// Region is a region of AWS.
type Region struct {
	Name  string // such as eu-central-1
	Place string // such as Frankfurt
	EU    bool   // in a member state of the European Union, which London and Zurich are not
}

// Regions lists those that rocca deploys to, by name: the partition "aws" as in
// botocore 1.43 (endpoints.json). The EU by its member states.
func Regions() []Region {
	return []Region{
		{"af-south-1", "Cape Town", false},
		{"ap-east-1", "Hong Kong", false},
		{"ap-east-2", "Taipei", false},
		{"ap-northeast-1", "Tokyo", false},
		{"ap-northeast-2", "Seoul", false},
		{"ap-northeast-3", "Osaka", false},
		{"ap-south-1", "Mumbai", false},
		{"ap-south-2", "Hyderabad", false},
		{"ap-southeast-1", "Singapore", false},
		{"ap-southeast-2", "Sydney", false},
		{"ap-southeast-3", "Jakarta", false},
		{"ap-southeast-4", "Melbourne", false},
		{"ap-southeast-5", "Malaysia", false},
		{"ap-southeast-6", "New Zealand", false},
		{"ap-southeast-7", "Thailand", false},
		{"ca-central-1", "Montreal", false},
		{"ca-west-1", "Calgary", false},
		{"eu-central-1", "Frankfurt", true},
		{"eu-central-2", "Zurich", false},
		{"eu-north-1", "Stockholm", true},
		{"eu-south-1", "Milan", true},
		{"eu-south-2", "Spain", true},
		{"eu-west-1", "Ireland", true},
		{"eu-west-2", "London", false},
		{"eu-west-3", "Paris", true},
		{"il-central-1", "Tel Aviv", false},
		{"me-central-1", "United Arab Emirates", false},
		{"me-south-1", "Bahrain", false},
		{"mx-central-1", "Mexico", false},
		{"sa-east-1", "Sao Paulo", false},
		{"us-east-1", "Northern Virginia", false},
		{"us-east-2", "Ohio", false},
		{"us-west-1", "Northern California", false},
		{"us-west-2", "Oregon", false},
	}
}

// otherPartitions are parts of AWS with their own accounts, names and services,
// by how their regions begin.
var otherPartitions = []string{"cn-", "us-gov-", "us-iso", "eu-isoe-", "eusc-"}

func findRegion(name string) (Region, bool) {
	for _, region := range Regions() {
		if region.Name == name {
			return region, true
		}
	}
	return Region{}, false
}

func regionNames() []string {
	var names []string
	for _, region := range Regions() {
		names = append(names, region.Name)
	}
	return names
}

// europe lists the regions in the EU, in words.
func europe() string {
	var names []string
	for _, region := range Regions() {
		if region.EU {
			names = append(names, region.Name)
		}
	}
	return strings.Join(names, ", ")
}

func inOtherPartition(region string) bool {
	return slices.ContainsFunc(otherPartitions, func(start string) bool { return strings.HasPrefix(region, start) })
}

// firstZones are the availability zones that are used when none are named.
func firstZones(region string) []string {
	if region == "ap-northeast-1" {
		return []string{region + "a", region + "c"} // new accounts have no b
	}
	return []string{region + "a", region + "b"}
}
