<?php
// Asks the snippets for PHP about each case: `drive.php FOLDER CASES`, an answer a line. Called by run.py.
[, $folder, $file] = $argv;
require "$folder/verify-standard.php";
require "$folder/verify-body.php";
require "$folder/verify-header.php";

foreach (json_decode(file_get_contents($file), true, 512, JSON_THROW_ON_ERROR) as $case) {
    $headers = $case["headers"];
    $body = base64_decode($case["body"]);
    $given = $headers[$case["header"]] ?? null;
    echo json_encode(match ($case["scheme"]) {
        "standard" => verify_standard($case["secret"], $headers, $body, $case["prefix"]),
        "body" => verify_body($case["secret"], $given, $body, $case["prefix"]),
        "header" => verify_header($case["secret"], $given),
    }), "\n";
}
