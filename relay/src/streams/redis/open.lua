-- ARGV: an epoch, the age of messages, the grace, the session, its ticket, the session it goes on with, the ticket it
-- shows, its instance, the most readers, its generation if it goes on with none. KEYS: what is kept of either session.
local fresh, age, grace, session, ticket, resume, shown, instance = unpack(ARGV)
local stream = load(fresh)
trim_old(stream, tonumber(age))

local kept, resumed, generation, before, other = KEYS[4], 0, tonumber(ARGV[10]), '', ''
local held = redis.call('HMGET', KEYS[5], 'ticket', 'former', 'generation', 'instance', 'other')
if resume ~= '' and held[3] and (held[1] == shown or held[2] == shown or held[5] == shown) then
    kept, session, resumed = KEYS[5], resume, 1
    generation, before = tonumber(held[3]) + 1, held[4]
    -- Shown twice: which of the two answers was heard is not known.
    if held[2] == shown then other = held[1] end
end
-- The ticket shown stays good until the one given is used.
redis.call('HSET', kept, 'ticket', ticket, 'former', shown, 'other', other, 'generation', text(generation), 'instance', instance)
redis.call('PEXPIRE', kept, grace)

local all, count = living()
local reader = all[session]
if not reader and count < tonumber(ARGV[9]) then
    -- What nobody has presented is presented to it: the session that would have may never come back.
    reader = { seq = math.max(stream.done, stream.first - 1) }
end
if reader then
    reader.generation, reader.till, reader.instance = generation, text(now + grace), instance
    all[session] = reader
    enter(session, reader)
    trim_presented(stream, all)
end
save(stream)
keep(age)
local epoch, former, last, first, head = marks(stream)
return { epoch, former, last, first, head, text(resumed), text(generation), before, reader and text(reader.seq) or '' }
