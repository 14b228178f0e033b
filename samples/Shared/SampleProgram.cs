using System.CommandLine;
using OrtCpr.Graph;

namespace Samples;

// What the samples with many options have in common; a file of each of their projects.
internal static class SampleProgram
{
    // As in the authors' scripts (Python's argparse) underscores and dashes are equal in the names of options, and the beginning of a name
    // is enough where only one option begins so. Mistakes and refused files are one line, not a stack trace.
    public static int Run(RootCommand root, string[] words)
    {
        try
        {
            return root.Parse([.. words.Select(w => Whole(root, Dashed(w)))]).Invoke(new() { EnableDefaultExceptionHandler = false });
        }
        catch (Exception error) when (error is OrtCprException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(error.Message);
            return 1;
        }
    }

    private static string Whole(RootCommand root, string word)
    {
        string name = word.Split('=')[0];
        if (name.Length < 4 || !name.StartsWith("--", StringComparison.Ordinal)) return word;
        string[] names = [.. root.Options.SelectMany(o => o.Aliases.Append(o.Name))
            .Where(n => n.StartsWith(name, StringComparison.Ordinal))];
        return names.Length == 1 && names[0] != name ? names[0] + word[name.Length..] : word;
    }

    private static string Dashed(string word)
    {
        if (!word.StartsWith("--", StringComparison.Ordinal)) return word;
        int end = word.IndexOf('=', StringComparison.Ordinal);
        return end < 0 ? word.Replace('_', '-') : word[..end].Replace('_', '-') + word[end..];
    }
}

// A mistake of the user.
internal sealed class SampleException(string message) : OrtCprException(message);
