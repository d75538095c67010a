-- close closes the quota, for everybody, for ARGV[5] microseconds from now.

load()
close(tonumber(ARGV[5]))
return {}
