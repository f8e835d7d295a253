-- What is to be rewritten and how: the selection or the cursor, and words, a choice, or neither, as the model in use
-- can. Leaves out: what becomes of it (rewrite.lua).

local clients = require('seedling.client')
local quiet = require('seedling.quiet')

local M = {}

local IN_WORDS = 'in words …'

---@type string[] The instructions of this session, the oldest first.
local asked = {}

---@param sentence string
---@param level? integer
local function say(sentence, level)
  vim.notify('Seedling: ' .. sentence, level or vim.log.levels.WARN)
end

---@param encoding string
---@param row integer From 0.
---@param column integer Bytes.
---@return lsp.Position
local function position(encoding, row, column)
  local line = vim.api.nvim_buf_get_lines(0, row, row + 1, false)[1] or ''
  return { line = row, character = vim.str_utfindex(line, encoding, math.min(column, #line), false) }
end

---@param encoding string
---@return lsp.Range
local function at_cursor(encoding)
  local cursor = vim.api.nvim_win_get_cursor(0)
  local here = position(encoding, cursor[1] - 1, cursor[2])
  return { start = here, ['end'] = here }
end

---@param encoding string
---@param rows [integer, integer] From 1, both of them included.
---@return lsp.Range
local function of_rows(encoding, rows)
  return { start = position(encoding, rows[1] - 1, 0), ['end'] = position(encoding, rows[2] - 1, math.huge) }
end

--- What is selected, in any of the three Visual modes; ends Visual mode. nil in the others.
---@param encoding string
---@return lsp.Range?
local function selected(encoding)
  local mode = vim.api.nvim_get_mode().mode
  if not mode:find('^[vV\22]') then
    return nil
  end
  local first, last = vim.fn.getpos('v'), vim.fn.getpos('.')
  if last[2] < first[2] or (last[2] == first[2] and last[3] < first[3]) then
    first, last = last, first
  end
  vim.api.nvim_feedkeys(vim.keycode('<Esc>'), 'nx', false)
  if mode:sub(1, 1) ~= 'v' then
    return of_rows(encoding, { first[2], last[2] })
  end
  local line = vim.api.nvim_buf_get_lines(0, last[2] - 1, last[2], false)[1] or ''
  local past = last[3] <= #line and last[3] + vim.str_utf_end(line, last[3]) or #line
  return { start = position(encoding, first[2] - 1, first[3] - 1), ['end'] = position(encoding, last[2] - 1, past) }
end

--- For the command line of |input()|.
---@param typed string
---@return string[]
function M.history(typed)
  local found = {}
  for i = #asked, 1, -1 do
    if vim.startswith(asked[i], typed) and not vim.list_contains(found, asked[i]) then
      table.insert(found, asked[i])
    end
  end
  return found
end

---@param on_words fun(instruction: string)
local function in_words(on_words)
  local completion = "customlist,v:lua.require'seedling.ask_rewrite'.history"
  vim.ui.input({ prompt = 'Rewrite: ', completion = completion }, function(typed)
    if typed and vim.trim(typed) ~= '' then
      on_words(vim.trim(typed))
    end
  end)
end

---@param kinds { title: string, instruction: string }[]
---@param on_words fun(instruction: string)
local function from_list(kinds, on_words)
  local choices = vim.list_extend(vim.list_slice(kinds), { { title = IN_WORDS } })
  vim.ui.select(choices, {
    prompt = 'Rewrite:',
    format_item = function(choice)
      return choice.title
    end,
  }, function(choice)
    if choice and choice.instruction then
      on_words(choice.instruction)
    elseif choice then
      in_words(on_words)
    end
  end)
end

---@param told table The answer of seedling.status.
---@param on_words fun(instruction: string)
local function ask_for_words(told, on_words)
  if told.rewrite == 'free' then
    in_words(on_words)
  elseif told.rewrite == 'listed' then
    from_list(told.rewriteKinds or {}, on_words)
  elseif told.rewrite == 'none' then
    say('the model in use does not rewrite code')
  else
    say(told.message ~= '' and told.message or 'the engine is not ready')
  end
end

--- Rewrites the rows, else what is selected, else the statement at the cursor; asks how, unless that is told.
---@param instruction? string
---@param rows? [integer, integer] From 1.
function M.start(instruction, rows)
  local buffer = vim.api.nvim_get_current_buf()
  local client = clients.of(buffer)
  local own = quiet.reason(buffer)
  if not client or own then
    say(own or 'no server serves this buffer (:checkhealth seedling may tell why)', vim.log.levels.ERROR)
    return
  end
  local encoding = client.offset_encoding
  ---@type seedling.Wish
  local wish = {
    client = client,
    buffer = buffer,
    window = vim.api.nvim_get_current_win(),
    version = vim.lsp.util.buf_versions[buffer],
    range = rows and of_rows(encoding, rows) or selected(encoding) or at_cursor(encoding),
    instruction = instruction or '',
    seed = 0,
  }
  local function go(words)
    table.insert(asked, words)
    wish.instruction = words
    require('seedling.rewrite').ask(wish)
  end
  if instruction then
    go(instruction)
    return
  end
  clients.execute(client, 'seedling.status', { vim.uri_from_bufnr(buffer) }, function(told, problem)
    if type(told) == 'table' then
      ask_for_words(told, go)
    else
      say(problem or 'the server answered nothing')
    end
  end)
end

return M
