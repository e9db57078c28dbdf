# Makes the rules, and the example configurations beside them, 60 times as fast: sed -E -f scale-60.sed closewait.rules.yml
# Minutes become seconds and hours minutes, in this order, and what is less than a minute becomes a second; so do the
# seconds of an hour, and the age bucket.
s/\b[0-9]+s\b/1s/g
s/\b([0-9]+)m\b/\1s/g
s/\b([0-9]+)h\b/\1m/g
s/\b3600\b/60/g
s/le=~"300\(/le=~"5(/
