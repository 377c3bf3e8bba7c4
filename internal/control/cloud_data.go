package control

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// each is a control that asks the same of every one of a kind: of each load
// balancer, of each database.
type each[T any] struct {
	all   func(*View) []T
	none  func(*View) Verdict // where there is none of the kind
	judge func(*View, T) (against []model.Evidence, unread []string)
	shows func(*View, T) []model.Evidence // what is told of one that is as it should be
	// puts are the changes for one that something speaks against; nil when there
	// is no command for it.
	puts func(*View, T) []Change
}

func (e each[T]) verdict(v *View) Verdict {
	all := e.all(v)
	if len(all) == 0 {
		return e.none(v)
	}
	var against, seen []model.Evidence
	var unread []string
	for _, one := range all {
		found, unclear := e.judge(v, one)
		against, unread = append(against, found...), append(unread, unclear...)
		if len(found)+len(unclear) == 0 && len(seen) < evidenceOnPass {
			seen = append(seen, e.shows(v, one)...)
		}
	}
	slices.Sort(unread)
	verdict := conclude(against, slices.Compact(unread))
	if verdict.Status == model.Pass {
		verdict.Evidence = seen[:min(len(seen), evidenceOnPass)]
	}
	return verdict
}

func (e each[T]) changes(v *View) []Change {
	var all []Change
	for _, one := range e.all(v) {
		if found, _ := e.judge(v, one); len(found) > 0 {
			all = append(all, e.puts(v, one)...)
		}
	}
	return all
}

// guidedBy is a fix of an owner, with the exact commands for what was found.
func guidedBy(text string, changes func(*View) []Change) Fix {
	return Fix{Kind: model.FixGuided, Text: text, Changes: changes}
}

// concerns tells whether a resource is one of those that were asked about: by
// its tag, or because somebody put it into a network of theirs.
func (v *View) concerns(tags facts.Tags, vpc string) bool {
	wanted := v.Cloud.Deployment
	return wanted == "" || tags.Deployment() == wanted ||
		vpc != "" && slices.ContainsFunc(v.Cloud.Networks, func(n facts.CloudNetwork) bool {
			return n.ID == vpc && n.Tags.Deployment() == wanted
		})
}

// commandLine is a line of the AWS CLI for the region that was looked at.
func (v *View) commandLine(words ...string) string {
	line := "aws"
	for _, word := range words {
		line += " " + shellWord(word)
	}
	if v.Cloud.Region != "" {
		line += " --region " + shellWord(v.Cloud.Region)
	}
	return line
}

// partition is the part of AWS that the region is in, as ARNs have it.
func (v *View) partition() string {
	switch {
	case strings.HasPrefix(v.Cloud.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(v.Cloud.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// keyForData is the key of the deployment that data is encrypted with; empty
// when there is none, or more than one to choose from.
func (v *View) keyForData() string {
	found := ""
	for _, key := range v.Cloud.Keys {
		if key.State != "Enabled" || !v.concerns(key.Tags, "") || key.Kind != "" && key.Kind != "SYMMETRIC_DEFAULT" || strings.HasSuffix(key.Tags["Name"], "-logs") {
			continue
		}
		if found != "" {
			return ""
		}
		found = key.ARN
	}
	return found
}

// ---- load balancers ----

// balancers are those that read HTTP. A network load balancer passes on what it
// does not understand: the server behind it decides, and rocca audit looks there.
func balancers(v *View) []facts.Balancer {
	return slices.DeleteFunc(slices.Clone(v.Cloud.Balancers), func(b facts.Balancer) bool {
		return b.Kind != "application" || !v.concerns(b.Tags, b.VPC)
	})
}

// noBalancer is the verdict of controls of a load balancer where there is none.
// That there should be one is what AWS-15 says.
func noBalancer(v *View) Verdict {
	if single(v) {
		return notApplicable("profile single has no load balancer: the front of the server does this, and rocca audit looks at it there")
	}
	return notApplicable("there is no load balancer (AWS-15)")
}

// unguarded is the verdict where there is no load balancer, on what only one
// can have before the servers.
func unguarded(want string) func(*View) Verdict {
	return func(v *View) Verdict {
		wanted := v.Cloud.Wanted
		if single(v) {
			return noBalancer(v)
		}
		if wanted.Known {
			return fail(model.Evidence{Subject: "profile " + wanted.Profile, Have: "no load balancer is there", Want: want})
		}
		if unread := blind(v, facts.CloudInstances, facts.CloudGroups); len(unread) > 0 {
			return unknown(strings.Join(unread, "; "))
		}
		var against []model.Evidence
		for _, i := range facingWorld(v) {
			against = append(against, model.Evidence{Subject: labelled(i.ID, i.Tags), Have: "answers the Internet itself, with no load balancer before it", Want: want})
		}
		if len(against) == 0 {
			return notApplicable("there is no load balancer, and no instance that answers the Internet")
		}
		return fail(capped(against)...)
	}
}

// deploying is the deployment that makes the load balancer, where rocca-aws.yaml
// decides one and none is there; else other changes.
func deploying(changes func(*View) []Change) func(*View) []Change {
	return func(v *View) []Change {
		if wanted := v.Cloud.Wanted; wanted.Known && !single(v) && len(balancers(v)) == 0 {
			return []Change{{Sentence: "make the load balancer of profile " + wanted.Profile, Command: "rocca aws deploy"}}
		}
		return changes(v)
	}
}

// facingWorld are the instances with a public address whose groups let
// everybody to port 80 or 443.
func facingWorld(v *View) []facts.Instance {
	known, open := lists(v), map[string]bool{}
	for _, group := range v.Cloud.Groups {
		open[group.ID] = mayBeWorld(carrying(group.Ingress, 80, 443), known)
	}
	return slices.DeleteFunc(instancesOf(v), func(i facts.Instance) bool {
		return i.PublicIP == "" || !anyOf(i.Groups, open)
	})
}

// labelled is an id with the name that people gave it.
func labelled(id string, tags facts.Tags) string { return strings.TrimSpace(id + " " + tags["Name"]) }

func balancerSubject(b facts.Balancer) string { return "load balancer " + b.Name }

func listenerSubject(b facts.Balancer, l facts.CloudListener) string {
	return fmt.Sprintf("load balancer %s, port %d", b.Name, l.Port)
}

// encrypted tells whether a listener speaks TLS.
func encrypted(l facts.CloudListener) bool { return l.Protocol == "HTTPS" || l.Protocol == "TLS" }

// forwards tells whether requests get to a server by it, after a login too.
func forwards(a facts.ListenAction) bool { return a.Kind == "forward" || len(a.Targets) > 0 }

// doing tells what an action does, for people.
func doing(a facts.ListenAction) string {
	return strings.Join(strings.Fields(a.Kind+" "+a.To+" "+a.Status), " ")
}

// ---- databases ----

// databases are those of RDS, whatever their engine.
func databases(v *View) []facts.CloudDatabase {
	return slices.DeleteFunc(slices.Clone(v.Cloud.Databases), func(d facts.CloudDatabase) bool { return !v.concerns(d.Tags, d.VPC) })
}

// databasesOfMatomo are those that Matomo can use: it speaks MySQL's protocol.
func databasesOfMatomo(v *View) []facts.CloudDatabase {
	return slices.DeleteFunc(databases(v), func(d facts.CloudDatabase) bool { return !speaksMySQL(d.Engine) })
}

func speaksMySQL(engine string) bool {
	return engine == "mysql" || engine == "mariadb" || strings.HasPrefix(engine, "aurora") && !strings.Contains(engine, "postgres")
}

// ofCluster tells whether it is an instance of Aurora, whose settings and
// backups are those of a cluster.
func ofCluster(d facts.CloudDatabase) bool { return strings.HasPrefix(d.Engine, "aurora") }

func noDatabase(v *View) Verdict {
	if v.Cloud.Wanted.Known && !v.Cloud.Wanted.RDS {
		return notApplicable("rocca-aws.yaml decides database.kind: local, so the database is on the server, and rocca audit looks at it there")
	}
	return notApplicable("there is no database of RDS")
}

func databaseSubject(d facts.CloudDatabase) string { return "database " + d.ID }

// ofDatabase is one observation of a database.
func ofDatabase(d facts.CloudDatabase, have string) []model.Evidence {
	return []model.Evidence{{Subject: databaseSubject(d), Have: have}}
}

// modified is the change of settings of a database.
func modified(v *View, d facts.CloudDatabase, sentence string, settings ...string) Change {
	words := append([]string{"rds", "modify-db-instance", "--db-instance-identifier", d.ID}, settings...)
	return Change{Sentence: sentence, Command: v.commandLine(words...)}
}

// ---- small words ----

// lastPart is what follows the last slash of an ARN.
func lastPart(arn string) string { return arn[strings.LastIndex(arn, "/")+1:] }

// orNothing says that a list is empty.
func orNothing(list []string) string { return cmp.Or(strings.Join(list, ", "), "nothing") }
