-- Pure functions over text: how much a word or a line is, how a text is written over what stands at the cursor.
-- Leaves out: buffers and windows.

local M = {}

--- How much of `text` the next word is: white space before it included, newlines too. Words are 'iskeyword' ones.
---@param text string
---@return string
function M.first_word(text)
  local length = vim.fn.matchend(text, [[^\_s*\%(\k\+\|\%(\k\@!\S\)\+\)]])
  return length > 0 and text:sub(1, length) or text
end

--- How much of `text` the rest of the line is; where nothing is left of it, the newline and the next line.
---@param text string
---@return string
function M.first_line(text)
  return text:match('^\n*[^\n]+') or text
end

---@param text string
---@return integer
function M.num_utf16_units(text)
  return vim.str_utfindex(text, 'utf-16')
end

---@param text string
---@return string[]
function M.characters(text)
  local starts, found = vim.str_utf_pos(text), {}
  for i, start in ipairs(starts) do
    found[i] = text:sub(start, (starts[i + 1] or #text + 1) - 1)
  end
  return found
end

---@class seedling.Segment
---@field offset integer Bytes of the replaced text that stand before it.
---@field text string

--- What has to be written into `replaced` to make it `text`, where only insertions are needed.
---@param text string
---@param replaced string
---@return seedling.Segment[]? segments nil where something would have to be deleted.
---@return integer num_used Bytes of `replaced` that were found in `text`, from its start.
function M.insertions(text, replaced)
  local segments, offset = {}, 0
  local wanted, next_wanted = M.characters(replaced), 1
  for _, character in ipairs(M.characters(text)) do
    if character == wanted[next_wanted] then
      next_wanted = next_wanted + 1
      offset = offset + #character
    else
      local last = segments[#segments]
      if last and last.offset == offset then
        last.text = last.text .. character
      else
        table.insert(segments, { offset = offset, text = character })
      end
    end
  end
  return next_wanted > #wanted and segments or nil, offset
end

--- `text` with tabs as the spaces that Neovim shows them as: virtual text shows ^I.
---@param text string
---@param column integer The screen column where it begins, from 0.
---@param tab_size integer
---@return string
function M.expand_tabs(text, column, tab_size)
  if not text:find('\t', 1, true) then
    return text
  end
  local parts, width = {}, column
  for part, tab in text:gmatch('([^\t]*)(\t?)') do
    table.insert(parts, part)
    width = width + vim.fn.strdisplaywidth(part)
    if tab ~= '' then
      local spaces = tab_size - width % tab_size
      table.insert(parts, (' '):rep(spaces))
      width = width + spaces
    end
  end
  return table.concat(parts)
end

return M
