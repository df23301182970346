-- ARGV: the age of messages, then for each reader its session, generation, epoch, position, and those that had expired,
-- between commas.
local stream = load(nil)
if not stream then return {} end
local all, told = living(), {}

-- The return addresses of those that are presented for the first time, or never will be.
local function tell(upto, expired)
    local after = stream.done
    while after < math.min(upto, stream.asked) do
        local some = redis.call('XRANGE', log, '(' .. text(after) .. '-0', text(upto) .. '-0', 'COUNT', 64)
        if #some == 0 then break end
        for _, entry in ipairs(some) do
            local seq = string.match(entry[1], '^%d+')
            local is_expired = string.find(expired, ',' .. seq .. ',', 1, true)
            if entry[2][8] ~= '' then table.insert(told, (is_expired and 'e ' or 'd ') .. entry[2][8]) end
            after = tonumber(seq)
        end
    end
    stream.done = upto
end

for at = 2, #ARGV, 5 do
    local session, generation, epoch, seq, expired = unpack(ARGV, at, at + 4)
    local reader, upto = all[session], math.min(tonumber(seq), stream.head)
    if reader and epoch == stream.epoch and tonumber(generation) == reader.generation and upto > reader.seq then
        if upto > stream.done then tell(upto, expired) end
        reader.seq = upto
        enter(session, reader)
    end
end
trim_presented(stream, all)
save(stream)
keep(ARGV[1])
return told
