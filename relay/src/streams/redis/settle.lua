-- ARGV: the times that a job is given, then for each job its session, epoch, number and what became of it.
local list, given_max, told = load(nil), tonumber(ARGV[1]), {}
if not list then return told end
for at = 2, #ARGV, 4 do
    local session, epoch, seq, fate = unpack(ARGV, at, at + 3)
    local is_known = epoch == list.epoch or (epoch == list.former and tonumber(seq) <= list.last)
    local job = is_known and job_of(seq)
    if job and job.session == session then
        if fate == 'done' then
            let_go(list, seq, job)
            if job.return_to ~= '' then table.insert(told, 'd ' .. job.return_to) end
        elseif redis.call('ZSCORE', held, seq) then
            if fate == 'unwritten' then job.given = job.given - 1 end
            put_back(list, seq, job, given_max, told)
        end
    end
end
save(list)
return told
