<?php

namespace Piwik;

/** A PDF of one page with lines of text. */
class Pdf
{
    /** @param string[] $lines at most 50; characters outside of Latin-1 become question marks */
    public static function page(array $lines): string
    {
        $text = "BT /F1 12 Tf 14 TL 50 800 Td\n";
        foreach (array_slice($lines, 0, 50) as $line) {
            $latin = mb_convert_encoding($line, 'ISO-8859-1', 'UTF-8');
            $text .= '(' . addcslashes($latin, '()\\') . ") Tj T*\n";
        }
        $text .= 'ET';
        $objects = [
            '<< /Type /Catalog /Pages 2 0 R >>',
            '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
            '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
            '<< /Length ' . strlen($text) . " >>\nstream\n$text\nendstream",
            '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>',
        ];
        $pdf = "%PDF-1.7\n";
        $table = "0000000000 65535 f \n";
        foreach ($objects as $i => $object) {
            $table .= sprintf("%010d 00000 n \n", strlen($pdf));
            $pdf .= ($i + 1) . " 0 obj\n$object\nendobj\n";
        }
        $count = count($objects) + 1;
        return $pdf . "xref\n0 $count\n{$table}trailer\n<< /Size $count /Root 1 0 R >>\nstartxref\n" . strlen($pdf) . "\n%%EOF\n";
    }
}
