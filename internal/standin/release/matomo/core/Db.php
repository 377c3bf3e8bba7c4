<?php

namespace Piwik;

use PDO;
use PDOStatement;

/** The connection to the database, opened when first used. Times are UTC. */
class Db
{
    private static ?PDO $pdo = null;

    public static function createDatabaseObject(): void
    {
        $config = Config::getInstance()->database;
        $dsn = empty($config['unix_socket'])
            ? 'mysql:host=' . $config['host'] . ';port=' . ($config['port'] ?? 3306)
            : 'mysql:unix_socket=' . $config['unix_socket'];
        $options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC];
        if (!empty($config['enable_ssl'])) {
            foreach (['ssl_ca' => PDO::MYSQL_ATTR_SSL_CA, 'ssl_cert' => PDO::MYSQL_ATTR_SSL_CERT, 'ssl_key' => PDO::MYSQL_ATTR_SSL_KEY] as $key => $option) {
                if (!empty($config[$key])) {
                    $options[$option] = $config[$key];
                }
            }
            if (!empty($config['ssl_no_verify'])) {
                $options[PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT] = false;
            }
        }
        $charset = $config['charset'] ?? 'utf8mb4';
        self::$pdo = new PDO("$dsn;dbname={$config['dbname']};charset=$charset", $config['username'], $config['password'] ?? '', $options);
        self::$pdo->exec("SET time_zone = '+00:00'");
    }

    public static function get(): PDO
    {
        if (self::$pdo === null) {
            self::createDatabaseObject();
        }
        return self::$pdo;
    }

    public static function query(string $sql, array $values = []): PDOStatement
    {
        $statement = self::get()->prepare($sql);
        $statement->execute($values);
        return $statement;
    }

    public static function exec(string $sql): void
    {
        self::get()->exec($sql);
    }

    public static function fetchOne(string $sql, array $values = [])
    {
        return self::query($sql, $values)->fetchColumn();
    }

    public static function fetchRow(string $sql, array $values = []): ?array
    {
        return self::query($sql, $values)->fetch() ?: null;
    }

    public static function fetchAll(string $sql, array $values = []): array
    {
        return self::query($sql, $values)->fetchAll();
    }

    public static function fetchColumn(string $sql, array $values = []): array
    {
        return self::query($sql, $values)->fetchAll(PDO::FETCH_COLUMN);
    }

    /** Inserts a row, column => value, and returns its automatic number. */
    public static function insert(string $table, array $row): int
    {
        $columns = '`' . implode('`, `', array_keys($row)) . '`';
        $marks = rtrim(str_repeat('?, ', count($row)), ', ');
        self::query('INSERT INTO ' . Common::prefixTable($table) . " ($columns) VALUES ($marks)", array_values($row));
        return (int) self::get()->lastInsertId();
    }
}
