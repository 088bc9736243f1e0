-- Joins one offered value into each key, as LiveEntry::merge does; value.rs has
-- the layout. Then tells the stream what moved, in one record (tell.lua, which is
-- put before this). KEYS: the stream, its counter, then one key a device, no device
-- twice. ARGV: now_ms, ttl_ms, entries that the stream keeps, the counter's first
-- value, then one value a key. On a cluster the stream is elsewhere: without its two
-- keys, what moved is answered. Numbers here are doubles: times have 48 bits, and
-- versions are compared in parts of 32, since string comparison follows the server's locale.
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

-- Keys that are not a device's: 2 or 0.
local others = #KEYS - (#ARGV - 4)
local values = redis.call('MGET', unpack(KEYS, others + 1))
local moved = {}
-- The expiry of what was seen then: most of a call was seen at one moment.
local expiry_seen, expiry
for i = others + 1, #KEYS do
    local key, offered, held = KEYS[i], ARGV[i - others + 4], values[i - others]
    local held_seen, held_newest, held_fix = split(held)
    local seen, newest, fix = split(offered)
    local value = offered
    if held_seen and held_seen + ttl > now then
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
    end
    if value ~= held then
        if seen ~= expiry_seen then
            expiry_seen, expiry = seen, string.format('%.0f', seen + ttl - now)
        end
        redis.call('SET', key, value, 'PX', expiry)
        local told = value
        -- The same frames in the same parts: merely heard.
        if held_seen and held_seen + ttl > now and cut(held, 2, 2) == cut(value, 2, 2)
            and cut(held, 9) == cut(value, 9) then
            told = join(seen, false, false)
        end
        moved[#moved + 1] = struct.pack('>I4B', tonumber(string.match(key, '%x+$'), 16), #told) .. told
    end
end

if others == 0 then return {#moved, table.concat(moved)} end
tell(KEYS[1], KEYS[2], ARGV[3], ARGV[4], #moved, table.concat(moved))
return #moved
