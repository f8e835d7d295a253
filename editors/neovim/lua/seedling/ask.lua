-- Asks the server for ghost text: one question at a time, the one before it cancelled ($/cancelRequest), late answers
-- dropped. Neovim's own module cancels nothing and waits 200 ms; the delay here is vim.g.seedling.delay_ms.
-- Leaves out: what is done with the answer (suggest.lua).

local client_of = require('seedling.client').of
local ghost = require('seedling.ghost')
local METHOD = require('seedling.client').METHOD

local M = {}

---@enum seedling.Trigger The values of LSP's InlineCompletionTriggerKind.
M.trigger = { invoked = 1, automatic = 2 }

local NUM_LATENCIES = 20

---@class seedling.Question
---@field client vim.lsp.Client
---@field id integer

---@type seedling.Question?
local running
---@type uv.uv_timer_t?
local timer
---@class seedling.Latency
---@field ms number
---@field num_items integer

---@type seedling.Latency[] The last ones, the newest last.
local latencies = {}

local function stop_timer()
  if timer then
    timer:stop()
    timer:close()
    timer = nil
  end
end

--- Ends the question that waits or runs: its answer is no longer wanted.
function M.cancel()
  stop_timer()
  if running then
    running.client:cancel_request(running.id)
    running = nil
  end
end

---@param buffer integer
---@param trigger seedling.Trigger
---@param on_answer fun(ghost?: seedling.Ghost)
---@return boolean asked false where no server can be asked.
function M.now(buffer, trigger, on_answer)
  M.cancel()
  local client = client_of(buffer)
  if not client then
    return false
  end
  local place, started_ns = ghost.place(buffer), vim.uv.hrtime()
  local encoding = client.offset_encoding
  local params = {
    textDocument = { uri = vim.uri_from_bufnr(buffer), version = vim.lsp.util.buf_versions[buffer] },
    position = {
      line = place.row,
      character = vim.str_utfindex(place.line, encoding, place.column, false),
    },
    context = { triggerKind = trigger },
    formattingOptions = {
      tabSize = vim.lsp.util.get_effective_tabstop(buffer),
      insertSpaces = vim.bo[buffer].expandtab,
    },
  }
  ---@type seedling.Question
  local question = { client = client, id = -1 }
  running = question
  local _, id = client:request(METHOD, params, function(err, result)
    if running ~= question then
      return -- superseded or cancelled meanwhile
    end
    running = nil
    local answer = not err and ghost.read(client, place, result) or nil
    table.insert(latencies, { ms = (vim.uv.hrtime() - started_ns) / 1e6, num_items = answer and #answer.items or 0 })
    if #latencies > NUM_LATENCIES then
      table.remove(latencies, 1)
    end
    on_answer(answer)
  end, buffer)
  question.id = id or -1
  if not id then
    running = nil
  end
  return id ~= nil
end

--- Asks unless another key comes first.
---@param buffer integer
---@param delay_ms integer
---@param on_answer fun(ghost?: seedling.Ghost)
function M.soon(buffer, delay_ms, on_answer)
  stop_timer()
  local waiting = assert(vim.uv.new_timer())
  timer = waiting
  waiting:start(
    delay_ms,
    0,
    vim.schedule_wrap(function()
      if timer ~= waiting then
        return
      end
      stop_timer()
      if vim.api.nvim_get_current_buf() == buffer then
        M.now(buffer, M.trigger.automatic, on_answer)
      end
    end)
  )
end

--- How long the last answers took.
---@return seedling.Latency[]
function M.latencies()
  return latencies
end

return M
