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
        $hash = sha1(Version::VERSION . $source);
        $compiled = PIWIK_USER_PATH . '/tmp/templates_c/' . substr($hash, 0, 2) . "/$hash.php";
        if (!is_file($compiled) || filemtime($compiled) < filemtime($source)) {
            self::compile($source, $compiled);
        }
        extract($variables, EXTR_SKIP);
        ob_start();
        include $compiled;
        return ob_get_clean();
    }

    private static function compile(string $source, string $compiled): void
    {
        $code = preg_replace(
            ['/\{\{ (\w+) \}\}/', '/\{\{ (\w+)\.(\w+) \}\}/', '/\{% for (\w+) in (\w+) %\}/', '/\{% end %\}/'],
            ['<?= \Piwik\Common::escape(\$$1) ?>', '<?= \Piwik\Common::escape(\$$1[\'$2\']) ?>', '<?php foreach (\$$2 as \$$1): ?>', '<?php endforeach ?>'],
            (string) file_get_contents($source)
        );
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
