using System.CommandLine;
using OrtCpr.Graph;
using OrtCpr.Tool;
using OrtCpr.Tool.Train;

RootCommand root = ToolCommands.Create();
// Messages of the library name members of its options; here they name ours.
TextWriter error = Console.Error;
Console.SetError(OptionNames.Writer(error));
string[] words = ToolCommands.Dashed(args);
try
{
    // Mistakes of the user are ours to print, in one line and without a stack trace.
    return root.Parse(RunConfig.Expand(root, words)).Invoke(new InvocationConfiguration { EnableDefaultExceptionHandler = false });
}
catch (OrtCprException mistake)
{
    Console.Error.WriteLine(mistake.Message);
    return 1;
}
catch (OperationCanceledException)
{
    Console.Error.WriteLine("stopped");
    return 130;
}
#pragma warning disable CA1031 // Whatever is left is a mistake of ours, and nobody should have to read a stack trace for it.
catch (Exception mistake)
#pragma warning restore CA1031
{
    UnexpectedError.Report(mistake, args);
    return 70;
}
finally
{
    Console.SetError(error);
}
