using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace OrtCpr.Tool.Train;

/// <summary>Options of a command as a JSON file, under their names without the dashes. What stands on the command line goes before the
/// file.</summary>
internal static class RunConfig
{
    private const string Name = "--config", Arguments = "--arguments";

    // Puts the options of --config FILE in its place, but those that the words have already.
    public static string[] Expand(Command root, string[] words)
    {
        words = WithOptionsOfRun(root, words);
        int at = Array.FindIndex(words, w => w == Name || w.StartsWith($"{Name}=", StringComparison.Ordinal));
        if (at < 0) return words;
        bool isApart = words[at] == Name;
        if (isApart && at + 1 >= words.Length) throw new ToolException("--config: expected a file.");
        string path = isApart ? words[at + 1] : words[at][(Name.Length + 1)..];
        string[] rest = [.. words[..at], .. words[(at + (isApart ? 2 : 1))..]];
        var given = rest.Where(w => w.StartsWith("--", StringComparison.Ordinal)).Select(w => w.Split('=')[0])
            .ToHashSet(StringComparer.Ordinal);
        ParseResult known = root.Parse(rest);
        bool hasArguments = known.CommandResult.Command.Arguments.Any(a => known.GetResult(a) is { Tokens.Count: > 0 });
        return [.. rest, .. Read(path).Where(o => !given.Contains(o.Option) && !(hasArguments && o.Option == Arguments))
            .SelectMany(o => o.Words)];
    }

    // `evaluate RUN` reads data as the run did: its options of that kind, but what the words give and what a run settles.
    private static string[] WithOptionsOfRun(Command root, string[] words)
    {
        if (words.Length == 0 || words[0] != EvaluateCommand.Name) return words;
        ParseResult known = root.Parse(words);
        if (known.CommandResult.Command.Arguments is not [var model] || known.GetResult(model)?.Tokens is not [var folder]
            || RunFile(folder.Value) is not string path)
        {
            return words;
        }
        var given = words.Select(w => w.Split('=')[0]).ToHashSet(StringComparer.Ordinal);
        return [.. words, .. Read(path).Where(o => DataOptions.Reading.Contains(o.Option) && !given.Contains(o.Option))
            .SelectMany(o => o.Words)];
    }

    // Of several runs side by side the folder above has it.
    private static string? RunFile(string folder) => !File.Exists(Path.Combine(folder, "training.json")) ? null
        : new[] { Path.Combine(folder, "run.json"), Path.Combine(folder, "..", "run.json") }.FirstOrDefault(File.Exists);

    private static List<(string Option, string[] Words)> Read(string path)
    {
        JsonObject? all;
        try
        {
            all = JsonNode.Parse(File.ReadAllText(path), null,
                new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }) as JsonObject;
        }
        catch (JsonException error)
        {
            throw new ToolException($"--config '{path}' is no JSON: {error.Message}");
        }
        catch (Exception error) when (FileAccess(error))
        {
            throw new ToolException($"--config '{path}' can't be read: {error.Message}");
        }
        if (all is null) throw new ToolException($"--config '{path}': expected an object with the names of options.");
        var options = new List<(string, string[])>();
        foreach ((string name, JsonNode? value) in all)
        {
            string option = $"--{name.Replace('_', '-')}";
            if (value is null) continue;
            // An argument, such as the model, has no name in front.
            if (name == "arguments")
            {
                options.Add((option, [.. value.AsArray().Select(v => v!.ToString())]));
            }
            else if (value is JsonArray list)
            {
                options.Add((option, [.. list.SelectMany(v => new[] { option, v!.ToString() })]));
            }
            else if (value is JsonObject)
            {
                throw new ToolException(
                    $"--config '{path}': '{name}' is an object; expected a text, a number, true, false or a list.");
            }
            else
            {
                options.Add((option,
                    [option, value.GetValueKind() is JsonValueKind.True or JsonValueKind.False ? value.ToString().ToLowerInvariant()
                    : value.ToString()]));
            }
        }
        return options;
    }

    // Everything that decides a run, defaults included.
    public static string Text(ParseResult r)
    {
        var all = new JsonObject
        {
            ["arguments"] = new JsonArray([.. r.CommandResult.Command.Arguments.SelectMany(a =>
            r.GetResult(a)?.Tokens.Select(t => (JsonNode?)t.Value) ?? [])])
        };
        foreach (Option option in r.CommandResult.Command.Options.Where(o => o.Name is not ("--help" or "--version" or "--resume")))
        {
            OptionResult? found = r.GetResult(option);
            bool isFlag = option.ValueType == typeof(bool);
            // A flag that stands alone is on.
            string[] texts = isFlag && found is { Implicit: false, Tokens.Count: 0 } ? ["true"]
                : found is { Tokens.Count: > 0 } ? [.. found.Tokens.Select(t => t.Value)] : Texts(DefaultOf(option));
            JsonNode? node = option.ValueType.IsArray ? new JsonArray([.. texts.Select(t => (JsonNode?)t)])
                : isFlag ? (texts.Length > 0 && string.Equals(texts[0], "true", StringComparison.OrdinalIgnoreCase))
                : texts.Length == 0 ? null : IsNumber(option.ValueType)
                    && double.TryParse(texts[0], NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
                    && double.IsFinite(number) ? number : texts[0];
            all[option.Name.TrimStart('-').Replace('-', '_')] = node;
        }
        return all.ToJsonString(new JsonSerializerOptions
        {
            WriteIndented = true,
            Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping
        });
    }

    // A text that looks like a number, such as the label 007, stays a text.
    private static bool IsNumber(Type type) => Type.GetTypeCode(Nullable.GetUnderlyingType(type) ?? type) is >= TypeCode.SByte
        and <= TypeCode.Decimal
        && !(Nullable.GetUnderlyingType(type) ?? type).IsEnum;

    private static object? DefaultOf(Option option) => option.HasDefaultValue ? option.GetDefaultValue() : option.ValueType.IsValueType
        ? Activator.CreateInstance(option.ValueType) : null;

    private static bool FileAccess(Exception error) => error is IOException or UnauthorizedAccessException;

    // An enumeration as the paper's scripts spell it.
    private static string[] Texts(object? value) => value switch
    {
        null => [],
        string[] list => list,
        _ => [Plain(value)],
    };

    private static string Plain(object value) => value is Enum
        ? string.Concat(value.ToString()!.Select((c, i) => char.IsUpper(c) && i > 0 ? $"_{char.ToLowerInvariant(c)}"
        : $"{char.ToLowerInvariant(c)}"))
        : Convert.ToString(value, CultureInfo.InvariantCulture) ?? "";
}
