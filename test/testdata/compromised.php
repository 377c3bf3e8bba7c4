<?php
// What somebody tries who runs code of their own in an app beside Matomo.
// Prints what worked, by name.
error_reporting(0);
$try = function (callable $deed): bool {
    ob_start(); // includes may print
    try {
        return (bool) $deed();
    } catch (Throwable) {
        return false;
    } finally {
        ob_end_clean();
    }
};
$reads = fn (string ...$names) => array_filter($names, fn ($name) => is_dir($name) ? scandir($name) : file_get_contents($name));
$writes = function (string ...$names): bool {
    $done = array_filter($names, fn ($name) => file_put_contents($name, '<?php // rocca test') !== false);
    array_map('unlink', $done);
    return $done !== [];
};
$connects = fn (string ...$names) => array_filter($names, fn ($name) => stream_socket_client($name, $code, $text, 1));
$logsIn = function (string ...$users): bool {
    foreach ($users as $user) {
        foreach (['unix_socket=/run/mysqld/mysqld.sock', 'host=127.0.0.1;port=3306'] as $where) {
            foreach (['', $user, 'root', 'matomo'] as $password) {
                try {
                    new PDO("mysql:$where", $user, $password);
                    return true;
                } catch (PDOException) {
                }
            }
        }
    }
    return false;
};
$matomo = '/var/www/matomo/www';
$cached = explode(',', $_GET['cached'] ?? '');
$deeds = [
    // What the app needs: without these the rest would prove nothing.
    'read its own secret' => fn () => $reads(__DIR__ . '/settings.inc.php'),
    'write its own tmp' => fn () => $writes(sys_get_temp_dir() . '/x.php'),
    'write a temporary file' => fn () => $writes('/tmp/x'),
    "reach the database's socket" => fn () => $connects('unix:///run/mysqld/mysqld.sock'),
    'see its own processes' => fn () => $reads('/proc/self/cmdline'),
    'compile its own file' => fn () => (include __DIR__ . '/settings.inc.php') === 'secret of the shop',
    // Files by path
    "read Matomo's configuration" => fn () => $reads('/var/lib/matomo/config/config.ini.php', '/var/lib/matomo-tracker/config/config.ini.php', '/var/lib/matomo-admin/config/config.ini.php'),
    "list Matomo's state" => fn () => $reads('/var/lib/matomo', '/var/lib/matomo/tmp', '/var/lib/matomo/user', '/var/lib/matomo-tracker', '/var/lib/matomo-admin'),
    "read Matomo's code" => fn () => $reads('/var/www/matomo', "$matomo/index.php"),
    "read rocca's own" => fn () => $reads('/var/lib/rocca', '/etc/rocca/tls', '/etc/rocca/tls/self-signed.key'),
    "read the database's files" => fn () => $reads('/var/lib/mysql', '/var/lib/mysql/matomo'),
    "read another app's files" => fn () => $reads('/srv/blog', '/srv/blog/settings.inc.php', '/var/lib/rocca-apps/blog', '/var/lib/rocca-apps/blog/tmp'),
    'read through /proc' => fn () => $reads('/proc/1/root/var/lib/matomo/config/config.ini.php', '/proc/self/root/var/lib/matomo/config/config.ini.php'),
    'read through a wrapper' => fn () => $reads('file:///var/lib/matomo/config/config.ini.php', 'php://filter/convert.base64-encode/resource=/var/lib/matomo/config/config.ini.php', 'glob:///var/lib/matomo/*', 'compress.zlib:///var/lib/matomo/config/config.ini.php'),
    'read through the database' => fn () => (new mysqli('localhost', 'shop', '', '', 0, '/run/mysqld/mysqld.sock'))->query("SELECT LOAD_FILE('/etc/passwd')"),
    'read logs' => fn () => $reads('/var/log/nginx', '/var/log/apache2', ...glob('/{run,var}/log/journal/*/*', GLOB_BRACE)),
    // PHP that Matomo compiled, which is in its memory
    "include Matomo's cached PHP" => fn () => array_filter($cached, fn ($name) => include $name),
    'use OPcache' => fn () => opcache_get_status() || opcache_get_configuration() || array_filter($cached, fn ($name) => opcache_is_script_cached($name) || opcache_compile_file($name) || opcache_invalidate($name, true)) || opcache_reset(),
    'set OPcache free' => fn () => ini_set('opcache.restrict_api', '') !== false,
    // Sockets
    "connect to a FastCGI socket" => fn () => $connects('unix:///run/matomo/ui.sock', 'unix:///run/matomo/tracker.sock', 'unix:///run/matomo/blog.sock', 'unix:///run/matomo/shop.sock', 'tcp://127.0.0.1:9000'),
    'connect to the system' => fn () => $connects('unix:///run/dbus/system_bus_socket', 'unix:///run/systemd/private'),
    'log in to the database' => fn () => $logsIn('matomo', 'matomo-tracker', 'matomo-admin', 'root', 'mysql', 'shop', ''),
    // Programs
    'start a program' => function () {
        foreach (['exec', 'passthru', 'shell_exec', 'system', 'popen', 'proc_open'] as $name) {
            if (function_exists($name) && $name('id')) {
                return true;
            }
        }
        return function_exists('pcntl_exec') || function_exists('pcntl_fork');
    },
    'start a program by mail' => fn () => mail('a@example.org', 'a', 'b', '', '-X' . sys_get_temp_dir() . '/mailed'),
    'run machine code' => fn () => function_exists('dl') || (class_exists('FFI') && FFI::cdef('int getpid(void);')->getpid()),
    // Links
    'make a link' => fn () => (function_exists('symlink') && symlink('/var/lib/matomo', sys_get_temp_dir() . '/link')) || (function_exists('link') && link('/etc/passwd', sys_get_temp_dir() . '/hard')),
    'follow a link' => fn () => $reads(__DIR__ . '/link-to-config.php', __DIR__ . '/link-to-state/config/config.ini.php'),
    // Code that stays
    'write code' => fn () => $writes(__DIR__ . '/x.php', "$matomo/x.php", '/var/www/x.php', '/var/lib/matomo/tmp/x.php', '/var/lib/rocca-apps/blog/tmp/x.php', '/etc/rocca/php/x.ini'),
    'change its own code' => fn () => fopen(__FILE__, 'r+') || chmod(__FILE__, 0777) || rename(__FILE__, __FILE__ . '.old') || unlink(__DIR__ . '/settings.inc.php'),
    'change settings by a file' => fn () => ini_get('auto_prepend_file') !== '' || defined('PREPENDED'),
    // Processes
    'see other processes' => fn () => array_filter(scandir('/proc'), fn ($pid) => is_numeric($pid) && fileowner("/proc/$pid") !== posix_geteuid()),
    'read other processes' => fn () => array_filter(explode(',', $_GET['pids'] ?? ''), fn ($pid) => file_get_contents("/proc/$pid/cmdline") || file_get_contents("/proc/$pid/environ")),
    'signal other processes' => fn () => function_exists('posix_kill') && array_filter(explode(',', $_GET['pids'] ?? ''), fn ($pid) => posix_kill((int) $pid, 0)),
    'share memory' => fn () => function_exists('shmop_open') && shmop_open((int) $_GET['shm'], 'a', 0, 0),
];
header('Content-Type: application/json');
echo json_encode(array_map($try, $deeds), JSON_PARTIAL_OUTPUT_ON_ERROR);
