package control

import (
	"fmt"

	"rocca/internal/facts"
	"rocca/internal/model"
)

var aws061 = Control{
	ID:       "AWS-61",
	Title:    "nobody can read or remove what the trail has written",
	Why:      "The trail is the evidence against whoever took over the account, who has the rights to delete it. Only a lock that needs another right, or a second factor, is in the way.",
	Severity: model.High,
	Needs:    []facts.Section{facts.CloudTrails, facts.CloudBuckets},
	Eval:     inspected(trailBucketLocked),
	Fix:      remedied("block public access, keep versions, and lock them (Object Lock, which a bucket can be given later, too) for as long as they may be needed", trailBucketLocked),
	Maps:     []model.Ref{fsbp("CloudTrail.6"), fsbp("CloudTrail.7"), s1("30")},
	Since:    "0.6",
}

func trailBucketLocked(v *View) inspection {
	found := inspection{absent: "there is no trail whose bucket is in this account"}
	buckets := map[string]facts.Bucket{}
	for _, b := range v.Cloud.Buckets {
		buckets[b.Name] = b
	}
	looked := map[string]bool{}
	for _, t := range v.Cloud.Trails {
		b, there := buckets[t.Bucket]
		switch {
		case t.Bucket == "" || looked[t.Bucket] || t.Organization && !there:
			continue
		case !there:
			found.unclear("the bucket " + t.Bucket + " of the trail " + t.Name + " was not seen: it is gone, or another account's")
			continue
		}
		looked[t.Bucket], found.absent = true, ""
		subject, wrong := "bucket "+b.Name, len(found.faults)
		if !b.BlockPublic {
			found.against(subject, "public access is not blocked", "blocked", blockPublic(v, b))
		}
		v.letsIn(&found, subject, b.Policy)
		if !b.Versioned {
			found.against(subject, "keeps no versions: what is overwritten is gone", "versions",
				Change{Sentence: "let the " + subject + " keep versions", Command: v.commandLine("s3api", "put-bucket-versioning", "--bucket", b.Name, "--versioning-configuration", "Status=Enabled")})
		}
		if (b.Lock == "" || b.LockDays == 0) && !b.MFADelete {
			found.against(subject, "nothing keeps its files from being deleted", "Object Lock with a retention",
				Change{Sentence: "lock what is written to the " + subject + " from now on, for a year", Command: v.commandLine("s3api", "put-object-lock-configuration", "--bucket", b.Name,
					"--object-lock-configuration", "ObjectLockEnabled=Enabled,Rule={DefaultRetention={Mode=GOVERNANCE,Days=365}}")})
		}
		if b.LoggedTo == "" {
			found.against(subject, "who reads it is not logged", "access logs", Change{})
		}
		if len(found.faults) == wrong {
			found.shows(subject, fmt.Sprintf("private, versioned, locked for %s", daysInWords(b.LockDays)))
		}
	}
	return found
}

// blockPublic is the change after which nothing can make a bucket public.
func blockPublic(v *View, b facts.Bucket) Change {
	return Change{Sentence: "block public access to the bucket " + b.Name, Command: v.commandLine("s3api", "put-public-access-block", "--bucket", b.Name,
		"--public-access-block-configuration", "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true")}
}
