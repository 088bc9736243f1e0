-- Joins one offered value into each key, as LiveEntry::merge does; value.rs has
-- the layout. Then tells the stream what moved, in one record (tell.lua, which is
-- put before this). KEYS: the stream, its counter, then one key a device, no device
-- twice. ARGV: now_ms, ttl_ms, entries that the stream keeps, the counter's first
-- value, what the stream is told when all is kept as offered (for each key its device,
-- the value's length, the value), then one value a key. On a cluster the stream is
-- elsewhere: without its two keys, what moved is answered. Numbers here are doubles:
-- times have 48 bits, and versions are compared in parts of 32, since string comparison
-- follows the server's locale.
local now, ttl = tonumber(ARGV[1]), tonumber(ARGV[2])
local unpack_numbers, cut = struct.unpack, string.sub
-- Length of a value by its parts byte.
local lengths = {[0] = 8, [1] = 50, [2] = 50, [3] = 92, [7] = 50}

-- seen, newest block, fix block; nothing for a value of another version.
local function split(value)
    if not value or #value < 8 then return nil end
    local version, parts, high, low = unpack_numbers('>BBI2I4', value)
    if version ~= 1 or lengths[parts] ~= #value then return nil end
    local seen = high * 4294967296 + low
    if parts == 7 then
        local both = cut(value, 9)
        return seen, both, both
    elseif parts == 3 then
        return seen, cut(value, 9, 50), cut(value, 51)
    elseif parts == 1 then
        return seen, cut(value, 9), false
    elseif parts == 2 then
        return seen, false, cut(value, 9)
    end
    return seen, false, false
end

-- The newer block: later recorded, then larger hash, then earlier arrival.
local function newer(a, b)
    if a == b or not b then return a end
    if not a then return b end
    local a1, b1 = unpack_numbers('>I4', a), unpack_numbers('>I4', b)
    if a1 > b1 then return a elseif b1 > a1 then return b end
    local _, a2, a3, a4, a5 = unpack_numbers('>I4I4I4I2I4', a)
    local _, b2, b3, b4, b5 = unpack_numbers('>I4I4I4I2I4', b)
    if a2 ~= b2 then return a2 > b2 and a or b end
    if a3 ~= b3 then return a3 > b3 and a or b end
    if a4 ~= b4 then return a4 < b4 and a or b end
    return a5 < b5 and a or b
end

local function join(seen, newest, fix)
    local high = math.floor(seen / 4294967296)
    local parts = (newest and 1 or 0) + (fix and 2 or 0)
    if newest and newest == fix then parts, fix = 7, '' end
    return struct.pack('>BBI2I4', 1, parts, high, seen - high * 4294967296)
        .. (newest or '') .. (fix or '')
end

-- Any offered value: what to keep, when it was seen, and what the stream is told.
local function merge(held, offered)
    local held_seen, held_newest, held_fix = split(held)
    local seen, newest, fix = split(offered)
    if not held_seen or held_seen + ttl <= now then return offered, seen, offered end
    local value = offered
    local joined_newest, joined_fix = newer(held_newest, newest), nil
    if held_newest == held_fix and newest == fix then
        joined_fix = joined_newest
    else
        joined_fix = newer(held_fix, fix)
    end
    if held_seen > seen or joined_newest ~= newest or joined_fix ~= fix then
        seen = math.max(held_seen, seen)
        value = join(seen, joined_newest, joined_fix)
    end
    -- The same frames in the same parts: merely heard.
    if cut(held, 2, 2) == cut(value, 2, 2) and cut(held, 9) == cut(value, 9) then
        return value, seen, join(seen, false, false)
    end
    return value, seen, value
end

local function device_of(key) return tonumber(string.match(key, ':(%x+)$'), 16) end

-- Keys that are not a device's: 2 or 0.
local others = #KEYS - (#ARGV - 5)
local values = redis.call('MGET', unpack(KEYS, others + 1))
local records, moved = ARGV[5], 0
-- While all is told as it was offered, `records` has it up to `told_to`; from the
-- first that is not, the pieces are gathered.
local told_to, pieces = 0, nil
-- The expiry of what was seen then: most of a call was seen at one moment.
local expiry_seen, expiry
for i = others + 1, #KEYS do
    local offered, held = ARGV[i - others + 5], values[i - others]
    local value, seen, told = offered, nil, offered
    -- Nearly always one frame, later recorded than the one that is held. 263 is
    -- version 1, parts 7.
    if #offered == 50 then
        local head, high, low, recorded = unpack_numbers('>I2I2I4I4', offered)
        local is_newer = head == 263
        if is_newer and held then
            is_newer = false
            if #held == 50 then
                local held_head, held_high, held_low, held_recorded =
                    unpack_numbers('>I2I2I4I4', held)
                is_newer = held_head == 263 and recorded > held_recorded
                    and (high > held_high or high == held_high and low >= held_low)
            end
        end
        if is_newer then seen = high * 4294967296 + low end
    end
    if not seen then value, seen, told = merge(held, offered) end
    if value == held then
        told = nil
    else
        moved = moved + 1
        if seen ~= expiry_seen then
            expiry_seen, expiry = seen, string.format('%.0f', seen + ttl - now)
        end
        redis.call('SET', KEYS[i], value, 'PX', expiry)
    end
    if not pieces and told == offered then
        told_to = told_to + 5 + #offered
    else
        pieces = pieces or {cut(records, 1, told_to)}
        if told then
            pieces[#pieces + 1] = struct.pack('>I4B', device_of(KEYS[i]), #told) .. told
        end
    end
end

local record = pieces and table.concat(pieces) or records
if others == 0 then return {moved, record} end
tell(KEYS[1], KEYS[2], ARGV[3], ARGV[4], moved, record)
return moved
