-- The server as seen from here: the clients named 'seedling' of Neovim's own LSP, and what is said to them.
-- Source: LSP 3.18, and the notifications that Copilot's language server made common (didFocus, didShowCompletion …).
-- Leaves out: asking for ghost text (ask.lua).

local M = {}

M.METHOD = 'textDocument/inlineCompletion'

---@param buffer? integer Only clients of this buffer.
---@return vim.lsp.Client[]
function M.all(buffer)
  return vim.lsp.get_clients({ name = 'seedling', bufnr = buffer })
end

--- The client that is asked about a buffer.
---@param buffer integer
---@return vim.lsp.Client?
function M.of(buffer)
  return vim.lsp.get_clients({ name = 'seedling', bufnr = buffer, method = M.METHOD })[1]
end

--- Tells all servers which document the user looks at; nil means none of theirs.
---@param buffer? integer
function M.focus(buffer)
  for _, client in ipairs(M.all()) do
    local is_its = buffer and client.attached_buffers[buffer]
    -- An empty Lua table would become a JSON list.
    local params = vim.empty_dict()
    if is_its then
      params = { textDocument = { uri = vim.uri_from_bufnr(buffer) } }
    end
    client:notify('textDocument/didFocus', params)
  end
end

---@param client vim.lsp.Client
---@param item table The item as the server sent it.
function M.shown(client, item)
  client:notify('textDocument/didShowCompletion', { item = item })
end

---@param client vim.lsp.Client
---@param item table The item as the server sent it.
---@param num_units integer UTF-16 units accepted so far, from the start of the item's text.
function M.accepted_part(client, item, num_units)
  client:notify('textDocument/didPartiallyAcceptCompletion', { item = item, acceptedLength = num_units })
end

--- JSON's null is a value of its own in Neovim, and true in a condition.
---@generic T
---@param value T
---@return T?
local function without_nulls(value)
  if value == vim.NIL then
    return nil
  end
  return type(value) == 'table' and vim.tbl_map(without_nulls, value) or value
end

--- Has the server run one of its commands. Not Client:exec_cmd, which tells a failure only to the log.
---@param client vim.lsp.Client
---@param command string
---@param arguments any[]
---@param on_answer? fun(result: any, sentence?: string) `sentence`: why there is no result.
---@return integer? id Of the request; nil where the server does not listen any more.
function M.execute(client, command, arguments, on_answer)
  local params = { command = command, arguments = arguments }
  local _, id = client:request('workspace/executeCommand', params, function(err, result)
    if on_answer then
      on_answer(without_nulls(result), err and (err.message or vim.inspect(err)))
    end
  end)
  return id
end

--- What the server says about a document and itself (the command seedling.status).
---@param client vim.lsp.Client
---@param buffer integer
---@param timeout_ms integer
---@return table? status
---@return string? sentence Why there is none.
function M.status(client, buffer, timeout_ms)
  local params = { command = 'seedling.status', arguments = { vim.uri_from_bufnr(buffer) } }
  local answer, problem = client:request_sync('workspace/executeCommand', params, timeout_ms)
  if not answer then
    return nil, ('the server did not answer within %d s (%s)'):format(timeout_ms / 1000, problem or 'no reason given')
  end
  if answer.err then
    return nil, answer.err.message
  end
  local told = without_nulls(answer.result)
  return type(told) == 'table' and told or nil, 'the server answered nothing'
end

return M
