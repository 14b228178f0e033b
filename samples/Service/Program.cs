using OrtCpr.Graph;
using Service;

// A service that learns while it answers; with --load a client that measures one.
Settings? chosen = null;
int code = Settings.Run(args, settings => chosen = settings);
if (chosen is null) return code;
try
{
    // Not inside the command line's own invocation, which would give the end of the service two seconds and no more.
    return await (chosen.Load > 0 ? LoadClient.RunAsync(chosen) : LearningService.RunAsync(chosen));
}
catch (Exception error) when (error is OrtCprException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine(error.Message);
    return 1;
}
