package main

import (
	"bufio"
	"errors"
	"strings"
	"testing"
)

func TestAskText(t *testing.T) {
	cmd := newAWSInitCommand()
	var shown strings.Builder
	cmd.SetOut(&shown)
	input := bufio.NewReader(strings.NewReader(" standard \n\nunfinished"))
	for _, want := range []string{"standard", "single"} {
		if got, err := askText(cmd, input, "Size", "single"); err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if want := "Size [single]: Size [single]: "; shown.String() != want {
		t.Errorf("asked %q, want %q", shown.String(), want)
	}
	// A terminal that ends in the middle of a line has not answered.
	_, err := askText(cmd, input, "Size", "single")
	var coded *exitError
	if !errors.As(err, &coded) || coded.code != exitUsage {
		t.Errorf("got %v, want the exit code for usage", err)
	}
}
