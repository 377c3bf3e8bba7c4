package main

import (
	"errors"
	"slices"
	"testing"

	"rocca/internal/aws/deploy"
	"rocca/internal/aws/settings"
	"rocca/internal/aws/stack"
)

// A single server with the disk of its database can only be replaced when the
// old one lets go of it; when the new one does not come up, it gets it back.
func TestAWSDeployHandsTheDiskOver(t *testing.T) {
	for name, c := range map[string]struct {
		action deploy.Action
		failed error
		want   []string
	}{
		"replaced":     {deploy.Replace, nil, []string{"StopInstances", "DetachVolume"}},
		"failed":       {deploy.Replace, errors.New("rolled back"), []string{"StopInstances", "DetachVolume", "AttachVolume", "StartInstances"}},
		"left running": {deploy.Replace, &deploy.LeftError{}, []string{"StopInstances", "DetachVolume"}},
		"updated":      {deploy.Update, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			trial := newCloudTrial(t, "")
			trial.wanted.Database.Kind = settings.DatabaseLocal
			volume, _ := trial.services.Disk(t)
			trial.services.ForgetCalls()
			trial.uploaded = true
			trial.note(deploy.StackPlan{Role: stack.App, Changes: []deploy.Change{{ID: "Server", Action: c.action}}})
			known := stack.Known{Physical: map[string]string{"data.Volume": volume}}
			if err := trial.Before(t.Context(), stack.App, known); err != nil {
				t.Fatal(err)
			}
			if err := trial.After(t.Context(), stack.App, known, c.failed); err != nil {
				t.Fatal(err)
			}
			var made []string
			for _, call := range trial.services.Calls() {
				if !slices.Contains([]string{"DescribeVolumes", "DescribeInstances"}, call.Operation) {
					made = append(made, call.Operation)
				}
			}
			if !slices.Equal(made, c.want) {
				t.Errorf("calls: %v, want %v", made, c.want)
			}
		})
	}
}
