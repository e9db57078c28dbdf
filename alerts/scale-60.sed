# Makes the rules and the example configurations 60 times as fast:
#   sed -E -f scale-60.sed closewait.rules.yml
# Everything shorter than a minute becomes a second, then minutes become seconds and hours minutes.
# The 3600 seconds of an hour become 60.
s/\b[0-9]+s\b/1s/g
s/\b([0-9]+)m\b/\1s/g
s/\b([0-9]+)h\b/\1m/g
s/\b3600\b/60/g
