-- ARGV: the age of messages. Lets go of those that have had their time, some at a time. Answers when the next has, in
-- milliseconds, nothing if none follows; then the return addresses of those that nobody had presented.
local stream = load(nil)
if not stream then return { '' } end
local age, told, due = tonumber(ARGV[1]), {}, 0
-- What its agent does not come back for in its own time nobody presents.
local left = redis.call('PTTL', meta) - KEYS_OUTLIVE

-- In small pieces, as a message may be large.
for _ = 1, 64 do
    local upto, some = 0, redis.call('XRANGE', log, '-', '+', 'COUNT', 16)
    for _, entry in ipairs(some) do
        local at = tonumber(entry[2][2])
        if left > 0 and at > now - age then
            due = math.min(at + age - now, left)
            break
        end
        upto = tonumber(string.match(entry[1], '^%d+'))
        if is_awaited(stream, entry) then table.insert(told, 'e ' .. entry[2][8]) end
    end
    trim(stream, upto)
    if #some == 0 then due = '' end
    if due ~= 0 then break end
end
stream.noted = due == '' and 0 or now + due
save(stream)
return { due == '' and '' or text(due), unpack(told) }
