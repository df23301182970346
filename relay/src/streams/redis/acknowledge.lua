-- ARGV: the age of messages, the reader's session, generation, epoch, position, and those that had expired, between commas.
local session, generation, epoch, seq, expired = unpack(ARGV, 2)
local stream = load(nil)
if not stream then return {} end
local all, told = living(), {}

local function hear(entry, kind)
    if entry[2][8] ~= '' then table.insert(told, kind .. entry[2][8]) end
end

-- The return addresses of those that are presented for the first time, or never will be. What was sent behind the last whose
-- sender hears of its delivery is not read: of that only what had expired is told.
local function tell(upto)
    local after, asked = stream.done, math.min(upto, stream.asked)
    while after < asked do
        local some = redis.call('XRANGE', log, '(' .. text(after) .. '-0', text(asked) .. '-0', 'COUNT', 64)
        if #some == 0 then break end
        for _, entry in ipairs(some) do
            local seq = string.match(entry[1], '^%d+')
            hear(entry, string.find(expired, ',' .. seq .. ',', 1, true) and 'e ' or 'd ')
            after = tonumber(seq)
        end
    end
    for seq in string.gmatch(expired, '%d+') do
        local number = tonumber(seq)
        if number > stream.done and number > asked and number <= upto then
            local entry = redis.call('XRANGE', log, seq .. '-0', seq .. '-0')[1]
            if entry then hear(entry, 'e ') end
        end
    end
    stream.done = upto
end

local reader, upto = all[session], math.min(tonumber(seq), stream.head)
if reader and tonumber(generation) ~= reader.generation then return { 'another connection' } end
if reader and epoch == stream.epoch and upto > reader.seq then
    if upto > stream.done then tell(upto) end
    reader.seq = upto
    enter(session, reader)
end
trim_presented(stream, all)
save(stream)
keep(ARGV[1])
return told
