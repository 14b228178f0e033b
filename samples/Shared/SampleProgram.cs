using System.CommandLine;
using OrtCpr.Graph;

namespace Samples;

// What the samples with many options have in common; a file of each of their projects.
internal static class SampleProgram
{
    // Underscores and dashes are equal in the names of options. Mistakes and refused files are one line, not a stack trace.
    public static int Run(RootCommand root, string[] words)
    {
        try
        {
            return root.Parse([.. words.Select(Dashed)]).Invoke(new() { EnableDefaultExceptionHandler = false });
        }
        catch (Exception error) when (error is OrtCprException or IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine(error.Message);
            return 1;
        }
    }

    public static Option<T> Option<T>(string name, string text, T value) => new($"--{name}") { Description = text, DefaultValueFactory = _ => value };

    private static string Dashed(string word)
    {
        if (!word.StartsWith("--", StringComparison.Ordinal)) return word;
        int end = word.IndexOf('=', StringComparison.Ordinal);
        return end < 0 ? word.Replace('_', '-') : word[..end].Replace('_', '-') + word[end..];
    }
}

// A mistake of the user.
internal sealed class SampleException(string message) : OrtCprException(message);
