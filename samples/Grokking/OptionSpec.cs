using System.Globalization;

namespace Grokking;

// One option: how it is written, and how its text changes the options (null when the text makes no sense).
internal sealed record OptionSpec(string Name, string Value, string Help, string Expected, Func<Options, string, Options?> Apply)
{
    // A switch may stand without a value and means true then.
    public bool IsSwitch { get; private init; }

    public static OptionSpec Number(string name, string help, string expected, Func<double, bool> valid, Func<Options, double, Options> set) =>
        new(name, "X", help, expected, (o, text) => TryNumber(text, out double value) && valid(value) ? set(o, value) : null);

    public static OptionSpec Whole(string name, string help, int least, Func<Options, int, Options> set) =>
        new(name, "N", help, $"a whole number of at least {least}", (o, text) => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int value) && value >= least ? set(o, value) : null);

    public static OptionSpec Switch(string name, string help, Func<Options, bool, Options> set) =>
        new(name, "", help, "true or false, or nothing for true", (o, text) => bool.TryParse(text, out bool value) ? set(o, value) : null) { IsSwitch = true };

    public static OptionSpec Choice<T>(string name, string help, (string Text, T Value)[] choices, Func<Options, T, Options> set)
    {
        string all = string.Join('|', choices.Select(c => c.Text));
        return new(name, all, help, $"one of {all}", (o, text) => Array.FindIndex(choices, c => c.Text == text) is int i and >= 0 ? set(o, choices[i].Value) : null);
    }

    // An option of the authors' script whose only accepted value is what the model file has.
    public static OptionSpec Fixed(string name, string only) =>
        new(name, only, "a property of the model file", $"{only}, as in the model file", (o, text) => string.Equals(text, only, StringComparison.OrdinalIgnoreCase) ? o : null);

    public static bool TryNumber(string text, out double value) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);
}
