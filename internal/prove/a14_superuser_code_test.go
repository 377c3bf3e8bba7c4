package prove

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
)

func TestPluginZip(t *testing.T) {
	packed, err := pluginZip("RoccaCanary")
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range archive.File {
		names = append(names, file.Name)
	}
	slices.Sort(names)
	if want := []string{"RoccaCanary/RoccaCanary.php", "RoccaCanary/plugin.json"}; !slices.Equal(names, want) {
		t.Errorf("packed %v, want %v", names, want)
	}
}

func TestForm(t *testing.T) {
	body := form(map[string]string{"nonce": "n"}, uploaded{"pluginZip", "a.zip", "application/zip", []byte("PK\r\n--x")})
	kind, parameters, err := mime.ParseMediaType(bodyType(body))
	if err != nil || kind != "multipart/form-data" {
		t.Fatalf("type %q, %v", bodyType(body), err)
	}
	parts, got := multipart.NewReader(strings.NewReader(body), parameters["boundary"]), map[string]string{}
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		got[part.FormName()+" "+part.FileName()] = string(content)
	}
	if len(got) != 2 || got["nonce "] != "n" || got["pluginZip a.zip"] != "PK\r\n--x" {
		t.Errorf("read %v", got)
	}
	if other := bodyType("plain"); other != "application/octet-stream" {
		t.Errorf("type %q of what is no form", other)
	}
}

// The attributes are those of Matomo 5.3.0's page of plugins.
func TestNonceInPage(t *testing.T) {
	page := `<div vue-entry="x" install-nonce="&quot;7d1f132e691cadb291055cfe6d18e982&quot;" deactivate-nonce="&quot;c4c181ff02974e4d93bb8dfa33d92063&quot;" activate-nonce="&quot;c68d19cc1246be4ddb5746985592f503&quot;">`
	got := map[string]string{}
	for _, found := range nonceInPage.FindAllStringSubmatch(page, -1) {
		got[found[1]] = found[2]
	}
	if got["install"] != "7d1f132e691cadb291055cfe6d18e982" || got["activate"] != "c68d19cc1246be4ddb5746985592f503" {
		t.Errorf("found %v", got)
	}
}
