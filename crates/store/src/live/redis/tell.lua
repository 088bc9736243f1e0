-- Adds a record of so many entries to the stream. Ids count entries: a record's is
-- that of its last one. A counter that was lost begins at the time, beyond all that
-- was counted before, which is noted: ids up to there are of a stream that is gone.
-- Of what came from devices' memory ('h'), readers of an older version see that the
-- devices were heard ('e'). So they do of devices whose values moved, which 'v' marks.
local function heard(record)
    local pieces, at = {}, 1
    while at <= #record do
        local next_at = at + 5 + string.byte(record, at + 4)
        pieces[#pieces + 1] = string.sub(record, at, at + 3) .. '\8\1\0'
            .. string.sub(record, at + 7, at + 12)
        at = next_at
    end
    return table.concat(pieces)
end

local function tell(stream, counter, origin, kept, first, count, record, kind)
    if count == 0 then return end
    first, kept = tonumber(first), tonumber(kept)
    local last = redis.call('INCRBY', counter, count)
    if last < first / 2 then
        last = first + count
        redis.call('SET', counter, string.format('%.0f', last))
        redis.call('SET', origin, string.format('%.0f', first))
    end
    local id = string.format('%.0f', last)
    local fields = {'e', record}
    if kind == 'historical' then fields = {'e', heard(record), 'h', record} end
    if kind == 'values' then fields = {'e', record, 'v', ''} end
    local added = redis.pcall('XADD', stream, id, unpack(fields))
    if type(added) == 'table' and added.err then
        -- Something else, or a clock that went back: never a reason not to merge.
        redis.call('DEL', stream)
        redis.pcall('XADD', stream, id, unpack(fields))
    end
    if last % (kept / 16) < count then
        redis.pcall('XTRIM', stream, 'MINID', '~', string.format('%.0f', last - kept))
    end
end

