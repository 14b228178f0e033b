using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.StaticFiles;
using Microsoft.Extensions.FileProviders;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Browser;

// The page, the runtime, the artifacts, and where trained parameters go.
internal static class Site
{
    // The runtime's memory is shared memory, for which browsers want the first two; the third keeps the page from any other server.
    private static readonly (string Name, string Value)[] Headers =
    [
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Embedder-Policy", "require-corp"),
        ("Content-Security-Policy", "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' data:"),
        ("Cache-Control", "no-cache"),
    ];

    public static int Run(Settings settings, CancellationToken cancellation)
    {
        Job job = Job.Prepare(settings, Say);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.UseUrls($"http://{settings.Host}:{settings.Port}");
        using WebApplication site = builder.Build();
        site.Use((context, next) =>
        {
            foreach ((string name, string value) in Headers) context.Response.Headers[name] = value;
            return next(context);
        });
        var taking = new Lock();
        site.UseDefaultFiles(new DefaultFilesOptions { FileProvider = Files(Path.Combine(AppContext.BaseDirectory, "page")) });
        Serve(site, "", Path.Combine(AppContext.BaseDirectory, "page"));
        Serve(site, "/ort", settings.RuntimeFolder);
        Serve(site, "/job", settings.Out);
        site.MapPost("/model", (Trained trained) =>
        {
            lock (taking)
            {
                (Taken? taken, string? problem) = PersonalModel.Take(job.Plan, trained, settings.PersonalPath);
                if (taken is not null)
                {
                    Say($"the browser's model is in '{settings.PersonalPath}': {taken.SameDigits} of {taken.Drawings} drawings read alike, "
                        + $"logits at most {taken.LargestDifference.ToString("E1", CultureInfo.InvariantCulture)} apart");
                }
                return taken is not null ? Results.Ok(taken) : Results.BadRequest(new { problem });
            }
        });
        site.Start();
        foreach (string url in site.Urls) Say($"open {url} (Ctrl-C ends)");
        site.WaitForShutdownAsync(cancellation).GetAwaiter().GetResult();
        return 0;
    }

    private static void Say(string text) => Console.WriteLine(text);

    private static void Serve(WebApplication site, string path, string folder) => site.UseStaticFiles(new StaticFileOptions
    {
        RequestPath = path,
        FileProvider = Files(folder),
        ContentTypeProvider = new FileExtensionContentTypeProvider
        {
            Mappings = { [".wasm"] = "application/wasm", [".mjs"] = "text/javascript", [".onnx"] = "application/octet-stream" },
        },
        // The checkpoint has no extension.
        ServeUnknownFileTypes = true,
        DefaultContentType = "application/octet-stream",
    });

    private static PhysicalFileProvider Files(string folder) => new(Path.GetFullPath(folder));
}
