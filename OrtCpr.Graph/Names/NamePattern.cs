using System.Text;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace OrtCpr.Graph.Parameters;

/// <summary>A pattern for names of parameters or nodes: a glob (<c>*</c> any text, <c>?</c> one character), or a
/// regular expression when written <c>regex:…</c>.</summary>
/// <remarks>Both must match the whole name. Case counts.</remarks>
[JsonConverter(typeof(NamePatternJson))]
public sealed class NamePattern
{
    private readonly Regex _regex;

    /// <summary>Parses a pattern.</summary>
    /// <param name="text">A glob, or <c>regex:</c> and a regular expression.</param>
    /// <exception cref="OptionException">The regular expression is not valid.</exception>
    public NamePattern(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Text = text;
        try
        {
            _regex = new Regex(text.StartsWith("regex:", StringComparison.Ordinal) ? $"^(?:{text["regex:".Length..]})$" : FromGlob(text),
                RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException error)
        {
            throw new OptionException($"Pattern '{text}' is no valid regular expression: {error.Message}");
        }
    }

    /// <summary>The pattern as it was written, with <c>regex:</c> where it had that.</summary>
    public string Text { get; }

    /// <summary>Parses a pattern, so that lists of patterns may be lists of texts.</summary>
    /// <param name="text">A glob, or <c>regex:</c> and a regular expression.</param>
    /// <exception cref="OptionException">The regular expression is not valid.</exception>
    public static implicit operator NamePattern(string text) => new(text);

    /// <summary>The implicit conversion, for languages without it.</summary>
    /// <param name="text">A glob, or <c>regex:</c> and a regular expression.</param>
    /// <exception cref="OptionException">The regular expression is not valid.</exception>
    public static NamePattern FromString(string text) => new(text);

    /// <summary>True when the whole name matches.</summary>
    /// <param name="name">Of a parameter or node.</param>
    /// <exception cref="OptionException">The regular expression takes more than a second on the name.</exception>
    public bool Matches(string name) => Match(name).Success;

    /// <summary>What the first * or group stands for in a name that matches, empty where there is none; null when the
    /// name does not match.</summary>
    internal string? Captured(string name) => Match(name) is { Success: true } match ? match.Groups[1].Value : null;

    private Match Match(string name)
    {
        try
        {
            return _regex.Match(name);
        }
        catch (RegexMatchTimeoutException)
        {
            throw new OptionException(
                $"Pattern '{Text}' took more than a second on the name '{name}'. "
                + "Write it without repetitions inside repetitions, such as (a+)+, or as a glob.");
        }
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    private static string FromGlob(string glob)
    {
        var regex = new StringBuilder("^");
        // The first of several * is a group and stands for as little as it can: `layer.*/*` tells layers apart.
        string any = glob.Count(c => c == '*') > 1 ? "(.*?)" : ".*";
        foreach (char c in glob)
        {
            regex.Append(c switch { '*' => any, '?' => ".", _ => Regex.Escape(c.ToString()) });
            if (c == '*') any = ".*";
        }
        return regex.Append('$').ToString();
    }
}
