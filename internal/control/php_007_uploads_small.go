package control

import (
	"strconv"

	"rocca/internal/facts"
	"rocca/internal/model"
)

// Logos are all that Matomo needs uploads for, once plugins cannot be uploaded.
var php007Demands = []phpDemand{
	{"upload_max_filesize", "2M", "2M", func(value string) bool { return phpBytes(value) <= 8<<20 }},
	{"max_file_uploads", "20", "2", func(value string) bool { n, err := strconv.Atoi(value); return err == nil && n <= 4 }},
	{"post_max_size", "8M", "8M", func(value string) bool { return phpBytes(value) > 0 && phpBytes(value) <= 64<<20 }},
}

var php007 = Control{
	ID:       "PHP-07",
	Title:    "uploads are off, or as small as Matomo needs them",
	Why:      "PHP stores what is uploaded before any script has looked at it, also for visitors without a login. Many or big files fill the disk, and a file on the disk is the first half of many attacks.",
	Severity: model.Low,
	Needs:    []facts.Section{facts.Runtime},
	Eval: ofPools(func(_ *View, pool facts.Pool) []model.Evidence {
		switch {
		case phpOff(pool.Value("file_uploads", "1")):
			return nil
		case pool.Role == "tracker":
			return []model.Evidence{directive(pool, "file_uploads", "1", "off")}
		}
		return demanded(pool, php007Demands)
	}),
	Fix: Fix{
		Kind: model.FixAutomatic, Steps: phpSteps,
		Text: "file_uploads = Off for a pool that only records, else upload_max_filesize = 2M, max_file_uploads = 2, post_max_size = 8M.",
	},
	Attack: "A14",
	Maps:   []model.Ref{asvs("5.2.1")},
	Since:  "0.3",
}
