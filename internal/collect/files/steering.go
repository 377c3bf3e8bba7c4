package files

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"

	"rocca/internal/facts"
)

const (
	pluginConfig = "plugin config"
	hostConfig   = "per-host configuration"
	userScript   = "script in misc/user"
)

// steers are the files that run or steer PHP and that Matomo's own check
// ignores (config/global.php, fileintegrity.ignore), as path.Match knows them,
// relative to Matomo's root.
var steers = []struct{ pattern, kind string }{
	{"bootstrap.php", "bootstrap.php"},
	{"config/config.php", "config.php"},
	{"config/environment/*.php", "config.php"},
	{"config/*.config.ini.php", hostConfig},
	{"misc/user/*/config.ini.php", hostConfig},
	{"plugins/*/config/config.php", pluginConfig},
	{"plugins/*/config/tracker.php", pluginConfig},
	{"vendor/autoload.php", "autoload.php"},
	{"vendor/composer/autoload_real.php", "autoload.php"},
	{"misc/user/*js", userScript},
	{"misc/user/*/*js", userScript},
}

// mayContainSteers spares the patterns for nearly all files of a release.
func mayContainSteers(name string) bool {
	top, rest, below := strings.Cut(name, "/")
	switch {
	case !below:
		return name == "bootstrap.php"
	case top == "plugins":
		return strings.HasSuffix(rest, "/config/config.php") || strings.HasSuffix(rest, "/config/tracker.php")
	case top == "vendor":
		return strings.HasSuffix(rest, "autoload.php") || strings.HasSuffix(rest, "autoload_real.php")
	}
	return top == "config" || top == "misc"
}

// steeringKind tells what a file steers by its path relative to Matomo's root;
// empty when it does not.
func steeringKind(name string) string {
	base := path.Base(name)
	for _, special := range []string{".user.ini", "php.ini", ".htaccess", "web.config"} {
		if strings.EqualFold(base, special) {
			return special
		}
	}
	if !mayContainSteers(name) {
		return ""
	}
	for _, s := range steers {
		if is, _ := path.Match(s.pattern, name); is {
			return s.kind
		}
	}
	return ""
}

// steer judges a file that runs or steers PHP; content is nil when it is too
// large to be what it should be. name is relative to Matomo's root.
func (s *survey) steer(w *worker, kind, name, absolute string, content []byte) {
	f := facts.Steering{Path: absolute, Kind: kind}
	f.Expected, f.Why = s.judge(kind, name, absolute, content)
	if kind == pluginConfig && s.foreignPlugin(name) {
		if f.Expected = len(phpDangers(content)) == 0; f.Expected {
			return // as good as the rest of that plugin
		}
	}
	w.integrity.Steering = append(w.integrity.Steering, f)
}

func (s *survey) judge(kind, name, absolute string, content []byte) (expected bool, why string) {
	if content == nil {
		return false, "is too large for what it should be"
	}
	sum := sha256.Sum256(content)
	if want, is := s.Known[absolute]; is {
		if want == hex.EncodeToString(sum[:]) {
			return true, "as it was written"
		}
		return false, "not as it was written: " + phpDoes(content)
	}
	if _, released := s.baseline.Files[name]; released {
		return false, "not the release's: " + phpDoes(content)
	}
	switch kind {
	case "autoload.php":
		if isAutoload(name, string(content), s.init) {
			return true, "as Composer writes it"
		}
		return false, "not as Composer writes it: " + phpDoes(content)
	case ".htaccess":
		return judgeHtaccess(path.Dir(name), string(content))
	case "web.config":
		return true, "has no effect on this server: for IIS only"
	case ".user.ini", "php.ini":
		return false, iniSets(string(content))
	case "bootstrap.php":
		if data := s.ownBootstrapData(string(content)); data != "" {
			return true, "as rocca writes it: moves configuration and temporary files to " + data
		}
		return false, phpDoes(content)
	case "config.php":
		if ownConfig.Match(content) {
			return true, "as rocca writes it: tells where location databases are"
		}
		return false, phpDoes(content)
	case hostConfig:
		if name == "config/common.config.ini.php" {
			return false, "adds settings below those of config.ini.php"
		}
		return false, "has the settings for whoever asks for the host " + strings.TrimSuffix(hostOf(name), ".config.ini.php")
	case userScript:
		return false, "is a script that browsers run with the rights of Matomo's pages"
	}
	return false, phpDoes(content)
}

// hostOf is the part of a path that names the host.
func hostOf(name string) string {
	if dir, in := strings.CutPrefix(name, "misc/user/"); in {
		return path.Dir(dir)
	}
	return path.Base(name)
}

// ownBootstrap is the bootstrap.php that rocca writes.
var ownBootstrap = regexp.MustCompile(`\A<\?php\n// Written by rocca\.[^\n]*\n//[^\n?]*\n\$data = getenv\('MATOMO_DATA'\);\n` +
	`define\('PIWIK_USER_PATH', is_string\(\$data\) && \$data !== '' \? \$data : '([^'\\]+)'\);\nunset\(\$data\);\n\z`)

// ownBootstrapData is where a bootstrap.php of rocca's leads to; empty when it
// is none of rocca's, or does not lead to where the settings really are.
func (s *survey) ownBootstrapData(content string) string {
	match := ownBootstrap.FindStringSubmatch(content)
	if match == nil || strings.Contains(content, "?>") || !slices.ContainsFunc(s.Contexts, func(c facts.Context) bool { return c.Data == match[1] }) {
		return ""
	}
	return match[1]
}

// ownConfig is the config.php that rocca writes.
var ownConfig = regexp.MustCompile(`\A<\?php\n// Written by rocca\.\nreturn \['path\.geoip2' => '[^'\\]+'\];\n\z`)

// autoload are the shapes of the two files that Composer writes at the end of a
// build; %s is a hash of it. A line that begins with "?" may be missing: not
// every version of Composer writes it.
var autoload = map[string][]string{
	"vendor/autoload.php": {
		"<?php", "",
		"// autoload.php @generated by Composer", "",
		"?if (PHP_VERSION_ID < 50600) {",
		"?    if (!headers_sent()) {",
		"?        header('HTTP/1.1 500 Internal Server Error');",
		"?    }",
		"?    $err = 'Composer 2.3.0 dropped support for autoloading on PHP <5.6 and you are running '.PHP_VERSION.', please upgrade PHP or use Composer 2.2 LTS via \"composer self-update --2.2\". Aborting.'.PHP_EOL;",
		"?    if (!ini_get('display_errors')) {",
		"?        if (PHP_SAPI === 'cli' || PHP_SAPI === 'phpdbg') {",
		"?            fwrite(STDERR, $err);",
		"?        } elseif (!headers_sent()) {",
		"?            echo $err;",
		"?        }",
		"?    }",
		"?    trigger_error(",
		"?        $err,",
		"?        E_USER_ERROR",
		"?    );",
		"?    throw new RuntimeException($err);",
		"?}", "?",
		"require_once __DIR__ . '/composer/autoload_real.php';", "",
		"return ComposerAutoloaderInit%s::getLoader();", "",
	},
	"vendor/composer/autoload_real.php": {
		"<?php", "",
		"// autoload_real.php @generated by Composer", "",
		"class ComposerAutoloaderInit%s",
		"{",
		"    private static $loader;", "",
		"    public static function loadClassLoader($class)",
		"    {",
		"        if ('Composer\\Autoload\\ClassLoader' === $class) {",
		"            require __DIR__ . '/ClassLoader.php';",
		"        }",
		"    }", "",
		"?    /**",
		"?     * @return \\Composer\\Autoload\\ClassLoader",
		"?     */",
		"    public static function getLoader()",
		"    {",
		"        if (null !== self::$loader) {",
		"            return self::$loader;",
		"        }", "",
		"?        require __DIR__ . '/platform_check.php';", "?",
		"        spl_autoload_register(array('ComposerAutoloaderInit%s', 'loadClassLoader'), true, ?);",
		"        self::$loader = $loader = new \\Composer\\Autoload\\ClassLoader(?);",
		"        spl_autoload_unregister(array('ComposerAutoloaderInit%s', 'loadClassLoader'));", "",
		"?        $includePaths = require __DIR__ . '/include_paths.php';",
		"?        $includePaths[] = get_include_path();",
		"?        set_include_path(implode(PATH_SEPARATOR, $includePaths));", "?",
		"        require __DIR__ . '/autoload_static.php';",
		"        call_user_func(\\Composer\\Autoload\\ComposerStaticInit%s::getInitializer($loader));", "",
		"?        $loader->setClassMapAuthoritative(true);",
		"        $loader->register(?);", "",
		"?        $filesToLoad = \\Composer\\Autoload\\ComposerStaticInit%s::$files;",
		"?        $requireFile = \\Closure::bind(static function ($fileIdentifier, $file) {",
		"?            if (empty($GLOBALS['__composer_autoload_files'][$fileIdentifier])) {",
		"?                $GLOBALS['__composer_autoload_files'][$fileIdentifier] = true;", "?",
		"?                require $file;",
		"?            }",
		"?        }, null, null);",
		"?        foreach ($filesToLoad as $fileIdentifier => $file) {",
		"?            $requireFile($fileIdentifier, $file);",
		"?        }", "?",
		"        return $loader;",
		"    }",
		"}", "",
	},
}

var (
	composerInit = regexp.MustCompile(`(?m)^class ComposerAutoloaderInit([0-9a-f]{32})$`)
	// composerArgument are the places where versions of Composer differ.
	composerArgument = regexp.MustCompile(`ClassLoader\((?:\\dirname\((?:\\dirname\(__FILE__\)|__DIR__)\))?\);|(register\()(?:true|false)\);|('loadClassLoader'\), true, )(?:true|false)\);`)
)

// composerClass reads the hash in the name of the class that Composer's second
// file declares; empty when there is none.
func (s *survey) composerClass() string {
	if s.Code == "" {
		return ""
	}
	content, err := s.small(path.Join(s.Code, "vendor/composer/autoload_real.php"), textLimit)
	if err != nil {
		return ""
	}
	if match := composerInit.FindSubmatch(content); match != nil {
		return string(match[1])
	}
	return ""
}

// isAutoload tells whether one of Composer's files is as it writes them, line
// by line, and names the class that the second of them declares.
func isAutoload(name, content, hash string) bool {
	shape, is := autoload[name]
	if !is || hash == "" || strings.Contains(content, "?)") {
		return false
	}
	content = composerArgument.ReplaceAllStringFunc(content, func(found string) string {
		open := strings.LastIndex(found, ", ")
		if open >= 0 {
			return found[:open+2] + "?);"
		}
		return found[:strings.Index(found, "(")+1] + "?);"
	})
	lines := strings.Split(content, "\n")
	for _, want := range shape {
		line, optional := strings.CutPrefix(strings.ReplaceAll(want, "%s", hash), "?")
		switch {
		case len(lines) > 0 && lines[0] == line:
			lines = lines[1:]
		case !optional:
			return false
		}
	}
	return len(lines) == 0
}

// dangerousINI are the directives by which a file of settings runs code or
// lifts a limit, the worst first.
var dangerousINI = []string{"auto_prepend_file", "auto_append_file", "extension", "zend_extension", "include_path", "allow_url_include", "disable_functions",
	"disable_classes", "open_basedir", "sendmail_path", "mail.log", "error_log", "user_ini.filename", "display_errors"}

// iniSets says what a file of PHP settings sets, the worst first.
func iniSets(content string) string {
	var set []string
	for line := range strings.Lines(content) {
		key, _, is := strings.Cut(line, "=")
		key = strings.ToLower(strings.TrimSpace(key))
		if is && key != "" && key[0] != ';' && key[0] != '#' && len(key) < 60 {
			set = append(set, key)
		}
	}
	if len(set) == 0 {
		return "sets nothing, but PHP reads it in the document root"
	}
	rank := func(key string) int {
		if at := slices.Index(dangerousINI, key); at >= 0 {
			return at
		}
		return len(dangerousINI)
	}
	slices.SortStableFunc(set, func(a, b string) int { return rank(a) - rank(b) })
	return "sets " + strings.Join(set[:min(len(set), 5)], ", ")
}
