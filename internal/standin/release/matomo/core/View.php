<?php

namespace Piwik;

/**
 * Pages from templates: {{ name }} prints a variable escaped, {% for a in b %}
 * ... {% end %} repeats. A template is compiled to PHP in tmp/templates_c.
 */
class View
{
    public static function render(string $plugin, string $template, array $variables = []): string
    {
        header('Content-Type: text/html; charset=utf-8');
        $source = PIWIK_INCLUDE_PATH . "/plugins/$plugin/templates/$template.twig";
        $hash = hash('sha256', Version::VERSION . $source);
        $compiled = PIWIK_USER_PATH . '/tmp/templates_c/' . substr($hash, 0, 2) . "/$hash.php";
        if (!is_file($compiled) || filemtime($compiled) < filemtime($source)) {
            self::compile($source, $compiled, "__TwigTemplate_$hash");
        }
        require_once PIWIK_INCLUDE_PATH . '/vendor/twig/twig/src/Template.php';
        require_once $compiled;
        $class = "__TwigTemplate_$hash";
        return (new $class())->render($variables);
    }

    /** A compiled template is a class, as Twig makes it, and echoes its parts. */
    private static function compile(string $source, string $compiled, string $class): void
    {
        $code = '';
        $parts = preg_split('/(\{\{ [\w.]+ \}\}|\{% [\w ]+ %\})/', (string) file_get_contents($source), -1, PREG_SPLIT_DELIM_CAPTURE);
        foreach ($parts as $part) {
            if (preg_match('/^\{\{ (\w+)(?:\.(\w+))? \}\}$/', $part, $match)) {
                $code .= "        echo \\Piwik\\Common::escape(\$context['$match[1]']" . (isset($match[2]) ? "['$match[2]']" : '') . ");\n";
            } elseif (preg_match('/^\{% for (\w+) in (\w+) %\}$/', $part, $match)) {
                $code .= "        foreach (\$context['$match[2]'] as \$context['$match[1]']) {\n";
            } elseif ($part === '{% end %}') {
                $code .= "        }\n";
            } elseif ($part !== '') {
                $code .= '        echo ' . var_export($part, true) . ";\n";
            }
        }
        $code = "<?php\n\nuse Twig\\Template;\n\nclass $class extends Template\n{\n"
            . "    protected function doDisplay(array \$context)\n    {\n$code    }\n}\n";
        $directory = dirname($compiled);
        if (!is_dir($directory) && !@mkdir($directory, 0750) && !is_dir($directory)) { // or another made it meanwhile
            throw new \RuntimeException("Unable to create the directory $directory");
        }
        $new = tempnam($directory, 'swap');
        file_put_contents($new, $code);
        rename($new, $compiled);
    }

    /** A file that is put together from all plugins, kept in tmp/assets. */
    public static function asset(string $name, string $pattern): string
    {
        $file = PIWIK_USER_PATH . "/tmp/assets/asset_manager_$name";
        if (!is_file($file)) {
            $text = "/* Matomo - cb=" . sha1(Version::VERSION) . " */\n";
            foreach (glob(PIWIK_INCLUDE_PATH . "/plugins/*/$pattern") as $part) {
                $text .= file_get_contents($part) . "\n";
            }
            file_put_contents($file, $text);
        }
        return (string) file_get_contents($file);
    }
}
