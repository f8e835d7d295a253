-- What a rewrite would change: the lines of the buffer with the new text in them, the unified diff, and the hunks that
-- make the one from the other. Pure. Leaves out: windows and asking (rewrite.lua).

local M = {}

-- Neovim 0.12 has renamed it.
local compare = vim.text and vim.text.diff or vim.diff

---@param lines string[]
---@param range lsp.Range
---@param encoding string
---@param text string Newlines as \n.
---@return string[]
function M.replaced(lines, range, encoding, text)
  local all = vim.list_extend(vim.list_slice(lines), { '' }) -- a range may end behind the last newline
  local function column(position)
    return vim.str_byteindex(all[position.line + 1] or '', encoding, position.character, false)
  end
  local first, last = range.start, range['end']
  local head = (all[first.line + 1] or ''):sub(1, column(first))
  local tail = (all[last.line + 1] or ''):sub(column(last) + 1)
  local new = vim.list_slice(all, 1, first.line)
  vim.list_extend(new, vim.split(head .. text .. tail, '\n'))
  vim.list_extend(new, all, last.line + 2)
  if new[#new] == '' then
    table.remove(new)
  end
  return new
end

---@param lines string[]
---@return string
local function joined(lines)
  return #lines == 0 and '' or table.concat(lines, '\n') .. '\n'
end

---@param old string[]
---@param new string[]
---@return string[] diff Unified, without the names of files.
function M.diff(old, new)
  local diff = compare(joined(old), joined(new), { ctxlen = 3 })
  ---@cast diff string
  return vim.split(vim.trim(diff) == '' and '' or diff:gsub('\n$', ''), '\n')
end

---@class seedling.Hunk
---@field first integer The row of `old` where it begins, from 0.
---@field num_old integer
---@field lines string[] What stands there afterwards.

--- What has to be replaced, the last first: so the rows of the others stay as they are.
---@param old string[]
---@param new string[]
---@return seedling.Hunk[]
function M.hunks(old, new)
  local found = compare(joined(old), joined(new), { result_type = 'indices' })
  ---@cast found integer[][]
  local hunks = {}
  for _, one in ipairs(found) do
    local start_old, num_old, start_new, num_new = unpack(one)
    table.insert(hunks, 1, {
      first = num_old == 0 and start_old or start_old - 1, -- an insertion is told by the line above it
      num_old = num_old,
      lines = vim.list_slice(new, start_new, start_new + num_new - 1),
    })
  end
  return hunks
end

return M
