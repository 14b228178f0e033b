using System.Collections.Immutable;
using OrtCpr.Data;
using OrtCpr.Graph;

namespace OrtCpr.Vision;

/// <summary>Folders of pictures with a folder for each class.</summary>
public static class ImageFolder
{
    /// <summary>Opens a folder that has a folder for each class: PyTorch's <c>ImageFolder</c>.</summary>
    /// <remarks>Classes are numbered in order of their names (by code units). Pictures are JPEG, PNG, WebP, BMP and GIF (the first
    /// frame) by the endings of their names, in the folder of the class and in folders below it, in order of their paths. Other files,
    /// pictures in no class, and whatever begins with a point are left out and counted.</remarks>
    /// <param name="path">The folder.</param>
    /// <param name="options">What becomes of the pictures; null for <see cref="ImageOptions.ImageNet"/>.</param>
    /// <exception cref="OptionException">An option is out of range.</exception>
    /// <exception cref="FileAccessException">The folder can't be read.</exception>
    /// <exception cref="DataFileException">There are fewer than two classes, a class has no picture, a folder is none of the
    /// <see cref="ImageOptions.Classes"/>, or pictures can't be read; all such are named.</exception>
    public static ImageSource Open(string path, ImageOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        options ??= ImageOptions.ImageNet;
        options.Check();
        try
        {
            return List(path, options).Scan(options);
        }
        catch (Exception error) when (FileAccessException.IsFileError(error))
        {
            throw new FileAccessException($"The folder '{path}' can't be read: {error.Message} Check the path and its permissions.", error);
        }
    }

    private static ImageEntries List(string path, ImageOptions options)
    {
        if (!Directory.Exists(path))
        {
            throw new FileAccessException(File.Exists(path) ? $"'{path}' is a file; expected a folder with a folder for each class."
                : $"There is no folder '{path}'. Check the path.");
        }
        string[] folders = [.. Directory.EnumerateDirectories(path).Where(d => !IsHidden(d))
            .OrderBy(Path.GetFileName, StringComparer.Ordinal)];
        string[] names = [.. folders.Select(d => Path.GetFileName(d))];
        string[] loose = [.. Directory.EnumerateFiles(path)];
        if (folders.Length < 2)
        {
            int pictures = loose.Count(IsPicture);
            throw new DataFileException($"'{path}' has {(folders.Length == 0 ? "no folder" : $"one folder, '{names[0]}'")}"
                + $"{(pictures > 0 ? $", and {pictures} pictures in no folder" : "")}; expected a folder for each class, at least two, "
                + "with the pictures of the class in it."
                + (folders.Length == 1 ? $" If '{names[0]}' has the folders of the classes, name it instead." : ""));
        }
        var paths = new List<string>();
        var classes = new List<long>();
        var problems = new List<string>();
        int ignored = loose.Length + Directory.EnumerateDirectories(path).Where(IsHidden).Sum(d => All(d).Count());
        ImmutableArray<string> classNames = options.Classes.Length > 0 ? options.Classes : [.. names];
        string[] unknown = [.. names.Except(classNames).Select(n => $"'{n}'")];
        if (unknown.Length > 0)
        {
            throw new DataFileException($"'{path}' has {(unknown.Length == 1 ? "a folder that is" : "folders that are")} no class of the "
                + "model or of the training "
                + $"data: {string.Join(", ", unknown)}; expected {string.Join(", ", classNames.Select(n => $"'{n}'"))}. Rename or remove "
                + "them.");
        }
        for (int i = 0; i < folders.Length; i++)
        {
            string[] files = [.. All(folders[i])];
            string[] found = [.. files.Where(f => IsPicture(f) && !IsBelowHidden(folders[i], f))
                .OrderBy(f => Path.GetRelativePath(folders[i], f).Replace('\\', '/'), StringComparer.Ordinal)];
            ignored += files.Length - found.Length;
            if (found.Length == 0)
                problems.Add($"'{names[i]}' ({(files.Length == 0 ? "empty" : $"{files.Length} files of other kinds")})");
            paths.AddRange(found);
            classes.AddRange(Enumerable.Repeat((long)classNames.IndexOf(names[i]), found.Length));
        }
        if (problems.Count > 0)
        {
            throw new DataFileException($"'{path}' has folders without a picture: {string.Join(", ", problems)}. Expected files that end "
                + $"in {string.Join(", ", PictureReader.Endings.Order(StringComparer.Ordinal))}. Fill them, or remove them.");
        }
        return new ImageEntries($"'{path}'", [.. paths], [], [.. classes], null, classNames, ignored);
    }

    private static IEnumerable<string> All(string folder) => Directory.EnumerateFiles(folder, "*", new EnumerationOptions
    {
        RecurseSubdirectories = true,
        AttributesToSkip = 0,
        // A folder that may not be read is an error, not an empty class.
        IgnoreInaccessible = false,
    });

    private static bool IsPicture(string file) => PictureReader.Endings.Contains(Path.GetExtension(file)) && !IsHidden(file);

    private static bool IsHidden(string path) => Path.GetFileName(path).StartsWith('.');

    private static bool IsBelowHidden(string folder, string file) =>
        Path.GetRelativePath(folder, file).Split('/', '\\').Any(part => part.StartsWith('.'));
}
