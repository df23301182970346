-- ARGV: an epoch, after which, how many at most, how many bytes.
local stream = find(ARGV[1])
if not stream then return {} end
local answer, bytes = { marks(stream) }, 0
table.insert(answer, text(now))
local after, left = tonumber(ARGV[2]), tonumber(ARGV[3])
-- In small pieces, as a message may be large.
while left > 0 do
    local some = redis.call('XRANGE', log, '(' .. text(after) .. '-0', '+', 'COUNT', math.min(left, 16))
    if #some == 0 then return answer end
    for _, entry in ipairs(some) do
        bytes = bytes + weight(entry)
        if #answer > 6 and bytes > tonumber(ARGV[4]) then return answer end
        local seq = string.match(entry[1], '^%d+')
        after, left = tonumber(seq), left - 1
        table.insert(answer, seq)
        table.insert(answer, entry[2][2])
        table.insert(answer, entry[2][4])
        table.insert(answer, entry[2][10])
    end
end
return answer
