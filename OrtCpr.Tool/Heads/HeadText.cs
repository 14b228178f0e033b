using System.Globalization;
using OrtCpr.Graph.Heads;

namespace OrtCpr.Tool.Heads;

// `classes=5,pool=cls,dropout=0.1,at=NAME,keep`, or a plain 5: a head as a text, for `train --head` and the command `head`.
internal static class HeadText
{
    private const string Expected = "expected classes=N, dropout=X, pool=auto|none|mean|cls|max, at=NAME, mask=INPUT, output=NAME, "
        + "name=NAME, names=A;B;C, keep, append or channels-last with commas between";

    private const StringSplitOptions Split = StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries;

    // All that is wrong is told at once; what only the library knows (ranges, names) it tells itself.
    public static (DenseHead Head, string? At) Parse(string text, string option)
    {
        int? classes = null;
        string? at = null;
        var head = new DenseHead { Classes = 0 };
        var problems = new List<string>();
        foreach (string part in text.Split(',', Split))
        {
            int sign = part.IndexOf('=', StringComparison.Ordinal);
            (string name, string value) = sign >= 0 ? (part[..sign], part[(sign + 1)..])
                : int.TryParse(part, NumberStyles.Integer, CultureInfo.InvariantCulture, out _) ? ("classes", part) : (part, "");
            switch (name.Replace('_', '-'))
            {
                case "classes" when int.TryParse(value, NumberStyles.Integer, CultureInfo.InvariantCulture, out int count):
                    classes = count;
                    break;
                case "dropout" when double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double ratio):
                    head = head with { Dropout = ratio };
                    break;
                case "pool" when PoolingOf(value) is Pooling pool:
                    head = head with { Pool = pool };
                    break;
                case "at" when value.Length > 0:
                    at = value;
                    break;
                case "mask" when value.Length > 0:
                    head = head with { Mask = value };
                    break;
                case "output" when value.Length > 0:
                    head = head with { Output = value };
                    break;
                case "name" when value.Length > 0:
                    head = head with { Name = value };
                    break;
                case "names" when value.Length > 0:
                    head = head with { ClassNames = [.. value.Split(';', Split)] };
                    break;
                case "keep" when sign < 0:
                    head = head with { Keep = true };
                    break;
                case "append" when sign < 0:
                    head = head with { Append = true };
                    break;
                case "channels-last" when sign < 0:
                    head = head with { ChannelsLast = true };
                    break;
                default:
                    problems.Add($"'{part}' makes no sense");
                    break;
            }
        }
        // Names tell how many they are.
        classes ??= head.ClassNames.Length > 0 ? head.ClassNames.Length : null;
        if (classes is null) problems.Add("the number of classes is missing");
        return problems.Count == 0 ? (head with { Classes = classes!.Value }, at)
            : throw new ToolException($"{option}: {string.Join("; ", problems)}; {Expected}.");
    }

    // A number is no name, which Enum.TryParse would take.
    private static Pooling? PoolingOf(string text) =>
        Enum.GetNames<Pooling>().FirstOrDefault(n => n.Equals(text, StringComparison.OrdinalIgnoreCase)) is string name
            ? Enum.Parse<Pooling>(name) : null;
}
