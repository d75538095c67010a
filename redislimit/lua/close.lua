-- close closes the quota, for every client, for ARGV[6] microseconds from now.

load()
close(tonumber(ARGV[6]))
keep()
return {}
