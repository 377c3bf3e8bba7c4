// Package standin builds the stand-in release: a small PHP application with the
// contract of Matomo and no code of it, for trying and testing where no real
// release can be had. It is packed, listed in a manifest and signed as a real
// release is, by a key that is made at that moment and kept nowhere.
package standin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Version is the version of the release in this repository.
const Version = "5.3.0-standin"

// Release is a release as a vendor publishes it.
type Release struct {
	Name        string // file name of the archive; that of the signature has ".asc" behind it
	Archive     []byte // .tar.gz with the directory "matomo" and a page beside it
	Signature   []byte // detached, armored OpenPGP
	PublicKey   []byte // armored
	Fingerprint string // of the public key, 40 upper-case hexadecimal digits
}

// Build packs the stand-in as the version given (Version, or another one of the
// form N.N.N-standin, to try upgrades) and signs it with a new key. The archive
// of a version is always the same, byte for byte.
func Build(version string) (Release, error) {
	key, err := NewKey()
	if err != nil {
		return Release{}, err
	}
	return key.Build(version)
}

// Build is like the function Build, with this key.
func (k *Key) Build(version string) (Release, error) {
	archive, err := Archive(version)
	if err != nil {
		return Release{}, err
	}
	signature, err := k.Sign(archive)
	if err != nil {
		return Release{}, err
	}
	public, err := k.Public()
	if err != nil {
		return Release{}, err
	}
	return Release{
		Name:        "matomo-" + version + ".tar.gz",
		Archive:     archive,
		Signature:   signature,
		PublicKey:   public,
		Fingerprint: k.Fingerprint(),
	}, nil
}

//go:embed all:release
var tree embed.FS

const (
	top          = "matomo/" // directory of the application in the archive
	manifestPath = top + "config/manifest.inc.php"
)

var versionForm = regexp.MustCompile(`^\d+\.\d+\.\d+-standin$`)

// unlisted are the files that the manifest of a real release does not name either.
var unlisted = []string{manifestPath, top + "vendor/autoload.php", top + "vendor/composer/autoload_real.php"}

// aliases are names that a file has besides its own.
var aliases = map[string][]string{
	top + "matomo.js": {top + "piwik.js", top + "js/piwik.js", top + "js/piwik.min.js"},
}

// modified is the time of every entry of the archive.
var modified = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Archive packs the stand-in as the version given, without a signature.
func Archive(version string) ([]byte, error) {
	if !versionForm.MatchString(version) {
		return nil, fmt.Errorf("build the stand-in: version %q is not of the form N.N.N-standin", version)
	}
	files, err := readFiles(version)
	if err != nil {
		return nil, fmt.Errorf("build the stand-in: %w", err)
	}
	files[manifestPath] = manifest(files)

	var packed bytes.Buffer
	compressed, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("build the stand-in: %w", err)
	}
	if err := writeTar(tar.NewWriter(compressed), files); err != nil {
		return nil, fmt.Errorf("build the stand-in: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return nil, fmt.Errorf("build the stand-in: %w", err)
	}
	return packed.Bytes(), nil
}

// readFiles returns what goes into the archive, by the name there.
func readFiles(version string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(tree, "release", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := tree.ReadFile(name)
		if err != nil {
			return err
		}
		name = strings.TrimPrefix(name, "release/")
		for _, each := range append([]string{name}, aliases[name]...) {
			files[each] = content
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	const versionPath = top + "core/Version.php"
	files[versionPath] = bytes.Replace(files[versionPath], []byte("'"+Version+"'"), []byte("'"+version+"'"), 1)
	return files, nil
}

// manifest lists size and SHA-256 of every file of the application, as a PHP
// class with one file a line.
func manifest(files map[string][]byte) []byte {
	var text strings.Builder
	text.WriteString("<?php\n// This file is generated when the release is packed\nnamespace Piwik;\nclass Manifest {\n\tstatic $files=array(\n")
	for _, name := range sortedNames(files) {
		inside, ok := strings.CutPrefix(name, top)
		if !ok || slices.Contains(unlisted, name) {
			continue
		}
		fmt.Fprintf(&text, "\t\t\"%s\" => array(\"%d\", \"%x\"),\n", inside, len(files[name]), sha256.Sum256(files[name]))
	}
	text.WriteString("\t);\n}\n")
	return []byte(text.String())
}

// writeTar writes the files and the directories above them in the order of
// their names, and closes the writer.
func writeTar(archive *tar.Writer, files map[string][]byte) error {
	written := map[string]bool{".": true}
	var makeDirectory func(name string) error
	makeDirectory = func(name string) error {
		if written[name] {
			return nil
		}
		written[name] = true
		if err := makeDirectory(path.Dir(name)); err != nil {
			return err
		}
		return archive.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: modified})
	}
	for _, name := range sortedNames(files) {
		if err := makeDirectory(path.Dir(name)); err != nil {
			return err
		}
		mode := int64(0o644)
		if name == top+"console" {
			mode = 0o755
		}
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(files[name])), ModTime: modified}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(files[name]); err != nil {
			return err
		}
	}
	return archive.Close()
}

func sortedNames(files map[string][]byte) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
