-- Adds a record of so many entries to the stream. Ids count entries: a record's is
-- that of its last one. A counter that was lost begins at the time, beyond all that
-- was counted before.
local function tell(stream, counter, kept, first, count, record)
    if count == 0 then return end
    first, kept = tonumber(first), tonumber(kept)
    local last = redis.call('INCRBY', counter, count)
    if last < first / 2 then
        last = first + count
        redis.call('SET', counter, string.format('%.0f', last))
    end
    local id = string.format('%.0f', last)
    local added = redis.pcall('XADD', stream, id, 'e', record)
    if type(added) == 'table' and added.err then
        -- Something else, or a clock that went back: never a reason not to merge.
        redis.call('DEL', stream)
        redis.pcall('XADD', stream, id, 'e', record)
    end
    if last % (kept / 16) < count then
        redis.pcall('XTRIM', stream, 'MINID', '~', string.format('%.0f', last - kept))
    end
end

