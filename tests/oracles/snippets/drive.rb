# Asks the snippets for Ruby about each case: `drive.rb FOLDER CASES`, an answer a line. Called by run.py.
require "json"

folder, file = ARGV
%w[standard body header].each { |name| require File.expand_path("verify-#{name}.rb", folder) }

JSON.parse(File.read(file, encoding: "UTF-8")).each do |one|
  headers, body = one["headers"], one["body"].unpack1("m")
  given = headers[one["header"]]
  puts(case one["scheme"]
       when "standard" then verify_standard(one["secret"], headers, body, one["prefix"])
       when "body" then verify_body(one["secret"], given, body, one["prefix"])
       when "header" then verify_header(one["secret"], given)
       end)
end
