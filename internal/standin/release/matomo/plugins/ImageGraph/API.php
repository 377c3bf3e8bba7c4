<?php

namespace Piwik\Plugins\ImageGraph;

use Piwik\Archive;
use Piwik\File;

class API extends \Piwik\API
{
    private const WIDTH = 1044;
    private const HEIGHT = 290;

    /** Visits of each period as a line. */
    public function get(int $idSite, string $period, string $date): File
    {
        $values = array_values(array_map(static fn(Archive $archive) => $archive->visits()['nb_visits'], Archive::ask($idSite, $period, $date)));
        $image = imagecreatetruecolor(self::WIDTH, self::HEIGHT);
        imagefilledrectangle($image, 0, 0, self::WIDTH, self::HEIGHT, imagecolorallocate($image, 255, 255, 255));
        $line = imagecolorallocate($image, 212, 36, 46);
        $step = self::WIDTH / max(1, count($values) - 1);
        $point = static fn(int $i) => [(int) ($i * $step), (int) (self::HEIGHT - 20 - (self::HEIGHT - 40) * $values[$i] / max(1, ...$values))];
        for ($i = 1; $i < count($values); $i++) {
            imageline($image, ...array_merge($point($i - 1), $point($i), [$line]));
        }
        imagestring($image, 3, 10, 5, 'Visits', $line);
        ob_start();
        imagepng($image);
        return new File('image/png', ob_get_clean());
    }
}
