using OrtCpr.Graph;

namespace Grokking;

internal static class Program
{
    private const int UserMistake = 1, WrongCommandLine = 2;

    internal static int Main(string[] args)
    {
        CommandLine line = CommandLine.Parse(args);
        if (line.Help)
        {
            Console.WriteLine(CommandLine.Usage);
            return 0;
        }
        if (line.Problems.Count > 0)
        {
            foreach (string problem in line.Problems) Console.Error.WriteLine(problem);
            Console.Error.WriteLine();
            Console.Error.WriteLine(CommandLine.Usage);
            return WrongCommandLine;
        }
        foreach (string note in line.Notes) Console.Error.WriteLine($"note: {note}");
        try
        {
            using var interruption = new Interruption();
            return new Experiment(line.Options, interruption).Run();
        }
        catch (OptionException error)
        {
            Console.Error.WriteLine(error.Message);
            return WrongCommandLine;
        }
        catch (OrtCprException error)
        {
            Console.Error.WriteLine(error.Message);
            return UserMistake;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            Console.Error.WriteLine($"{error.Message} Check the folder --out and the space on its disk.");
            return UserMistake;
        }
    }
}
