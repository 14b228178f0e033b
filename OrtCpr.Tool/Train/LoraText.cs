using System.Globalization;
using OrtCpr.Graph.Adapters;
using OrtCpr.Graph.Parameters;

namespace OrtCpr.Tool.Train;

// `r=8,alpha=16,targets=a.*;b.*`, or a plain 8.
internal static class LoraText
{
    public static LoraOptions Parse(string text)
    {
        var options = new LoraOptions();
        foreach (string part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            int at = part.IndexOf('=', StringComparison.Ordinal);
            (string name, string value) = at < 0 ? ("r", part) : (part[..at], part[(at + 1)..]);
            options = name switch
            {
                "r" or "rank" when int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int rank) =>
                    options with { Rank = rank },
                "alpha" when double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double alpha) =>
                    options with { Alpha = alpha },
                "targets" when value.Length > 0 =>
                    options with { Targets = [.. value.Split(';', StringSplitOptions.RemoveEmptyEntries).Select(NamePattern.FromString)] },
                _ => throw new ToolException($"--lora '{part}' makes no sense; expected r=N, alpha=X or targets=PATTERN;PATTERN with "
                    + "commas between."),
            };
        }
        return options;
    }
}
