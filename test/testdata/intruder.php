<?php
// What somebody tries who runs code of their own in a pool. Prints what worked.
error_reporting(0);
$own = getenv('MATOMO_DATA');
$other = $own === '/var/lib/matomo' ? '/var/lib/matomo-tracker' : '/var/lib/matomo';
$try = function (callable $deed): bool {
    try {
        return (bool) $deed();
    } catch (Throwable) {
        return false;
    }
};
$write = function (string $name): bool {
    $done = file_put_contents($name, '<?php // rocca test') !== false;
    if ($done) {
        unlink($name);
    }
    return $done;
};
$deeds = [
    'start a program' => function () {
        foreach (['exec', 'passthru', 'shell_exec', 'system', 'popen', 'proc_open', 'pcntl_exec', 'pcntl_fork'] as $name) {
            if (function_exists($name)) {
                return true;
            }
        }
        return false;
    },
    'start a program by mail' => fn () => function_exists('mail') && mail('a@example.org', 'a', 'b', '', '-X' . getenv('MATOMO_DATA') . '/tmp/mailed') ,
    'send mail by a socket' => fn () => fsockopen('127.0.0.1', 25, $code, $text, 1),
    'internet socket' => fn () => function_exists('socket_create') ? socket_create(AF_INET, SOCK_STREAM, SOL_TCP) : stream_socket_server('tcp://127.0.0.1:0'),
    'write code' => fn () => $write('/var/www/matomo/www/x.php') || $write('/var/www/matomo/www/misc/x.php') || $write('/var/www/matomo/scripts/x.php') || $write('/srv/x.php'),
    'write its own config' => fn () => $write("$own/config/x.php") || fopen("$own/config/config.ini.php", 'r+'),
    'own config' => fn () => file_get_contents("$own/config/config.ini.php"),
    'other config' => fn () => file_exists("$other/config") || file_get_contents("$other/config/config.ini.php"),
    'own tmp' => fn () => $write("$own/tmp/x.php"),
    'upload directory' => fn () => $write('/var/lib/matomo/user/x.png'),
    "read rocca's journal" => fn () => scandir('/var/lib/rocca'),
    'read the key' => fn () => scandir('/etc/rocca/tls') || file_get_contents('/etc/rocca/tls/self-signed.key'),
    'see other processes' => fn () => file_get_contents('/proc/1/cmdline'),
    'ask the system bus' => fn () => stream_socket_client('unix:///run/dbus/system_bus_socket') || stream_socket_client('unix:///run/systemd/private'),
    'call native code' => fn () => extension_loaded('ffi'),
    'make an executable file run' => fn () => function_exists('dl') && dl('../../../tmp/x.so') || ini_get('ffi.enable') === '1',
    'pcre.jit' => function () {
        ini_set('pcre.jit', '1');
        error_clear_last();
        return preg_match('/(a|b)+c' . mt_rand() . '?/', 'aac') !== false && error_get_last() === null;
    },
];
header('Content-Type: application/json');
echo json_encode(array_map($try, $deeds));
