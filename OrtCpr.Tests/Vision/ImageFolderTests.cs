using System.Runtime.InteropServices;
using OrtCpr.Data;
using OrtCpr.Graph;
using OrtCpr.Vision;
using SkiaSharp;

namespace OrtCpr.Tests.Vision;

[TestClass]
public sealed class ImageFolderTests
{
    private static readonly ImageOptions Raw2x2 =
        ImageOptions.Raw with { Height = 2, Width = 2, Fit = ImageFit.Squash, CacheBytes = 1 << 20 };

    private static byte[] Pixels(DataSource source, long row)
    {
        byte[] bytes = new byte[source.Columns[0].Length];
        source.Read(0, row, bytes);
        return bytes;
    }

    private static long Label(DataSource source, long row)
    {
        Span<byte> bytes = stackalloc byte[8];
        source.Read(1, row, bytes);
        return MemoryMarshal.Read<long>(bytes);
    }

    // Names in order of code units, pictures in order of paths, folders below a class belong to it, everything else is counted.
    [TestMethod]
    public void Classes_AreFolders_InOrderOfTheirNames()
    {
        using var folder = new TemporaryFolder();
        foreach (string part in new[] { "b", "B", "ä", "b/sub", ".cache" }) Directory.CreateDirectory(folder[part]);
        foreach (string file in "b/2.png b/10.png b/sub/1.PNG B/x.png ä/x.png .cache/x.png b/.hidden.png loose.png".Split(' '))
            ShapePictures.Save(folder[file], 1, 0xFF102030);
        File.WriteAllText(folder["b/notes.txt"], "no picture");
        using ImageSource source = ImageFolder.Open(folder.FolderPath, Raw2x2);
        CollectionAssert.AreEqual(new[] { "B", "b", "ä" }, source.ClassNames.ToArray());
        CollectionAssert.AreEqual(new[] { "B/x.png", "b/10.png", "b/2.png", "b/sub/1.PNG", "ä/x.png" },
            source.Paths.Select(p => Path.GetRelativePath(folder.FolderPath, p).Replace('\\', '/')).ToArray());
        CollectionAssert.AreEqual(new long[] { 0, 1, 1, 1, 2 }, Enumerable.Range(0, 5).Select(i => Label(source, i)).ToArray());
        Assert.AreEqual(4, source.IgnoredFiles, "a text, a hidden picture, one in a hidden folder, and one in no class");
        Assert.AreEqual("'labels' Int64[]", source.Columns[1].ToString());
        CollectionAssert.AreEqual(source.ClassNames.ToArray(), source.Columns[1].ClassNames.ToArray());
        Assert.AreEqual("'image' UInt8[3,2,2]", source.Columns[0].ToString());
        using ImageSource ordered = ImageFolder.Open(folder.FolderPath, Raw2x2 with { Classes = ["ä", "x", "b", "B"] });
        CollectionAssert.AreEqual(new long[] { 3, 2, 2, 2, 0 }, Enumerable.Range(0, 5).Select(i => Label(ordered, i)).ToArray());
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(
            () => ImageFolder.Open(folder.FolderPath, Raw2x2 with { Classes = ["b", "B"] })).Message, "'ä'; expected 'b', 'B'");
    }

    [TestMethod]
    public void Formats_GreyAndAlpha_AreRead()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["a"]);
        Directory.CreateDirectory(folder["b"]);
        ShapePictures.Save(folder["a/1.png"], 2, 0xFFFF0000, 0x80FF0000, 0x00FF0000, 0xFF0000FF);
        ShapePictures.SaveBmp(folder["a/2.bmp"], 2, 0x010203, 0x040506, 0x070809, 0x0A0B0C);
        // One pixel of the second colour of a global table.
        File.WriteAllBytes(folder["a/3.gif"], [.. "GIF89a"u8, 1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 10, 20, 30, 0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0,
            2, 2,
            0x4C, 1, 0, 0x3B]);
        using (var grey = new SKBitmap(new SKImageInfo(2, 2, SKColorType.Gray8, SKAlphaType.Opaque)))
        {
            grey.Erase(new SKColor(77, 77, 77));
            ShapePictures.Save(grey, folder["b/4.png"]);
            ShapePictures.Save(grey, folder["b/5.jpg"], SKEncodedImageFormat.Jpeg);
            ShapePictures.Save(grey, folder["b/6.webp"], SKEncodedImageFormat.Webp);
        }
        using ImageSource source = ImageFolder.Open(folder.FolderPath, Raw2x2);
        // 255 over white at 128/255: 255; 0 over white: 127. Nothing over white is white.
        CollectionAssert.AreEqual(new byte[] { 255, 255, 255, 0, 0, 127, 255, 0, 0, 127, 255, 255 }, Pixels(source, 0));
        CollectionAssert.AreEqual(new byte[] { 1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12 }, Pixels(source, 1));
        CollectionAssert.AreEqual(new byte[] { 10, 10, 10, 10, 20, 20, 20, 20, 30, 30, 30, 30 }, Pixels(source, 2));
        foreach (int row in new[] { 3, 4 }) CollectionAssert.AreEqual(Enumerable.Repeat((byte)77, 12).ToArray(), Pixels(source, row));
        Assert.IsTrue(Pixels(source, 5).All(p => Math.Abs(p - 77) <= 2), string.Join(' ', Pixels(source, 5)));
        using ImageSource black = ImageFolder.Open(folder.FolderPath, Raw2x2 with { Background = ImageColor.Black });
        CollectionAssert.AreEqual(new byte[] { 255, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255 }, Pixels(black, 0));
        // From the cache the same.
        CollectionAssert.AreEqual(Pixels(source, 0), Pixels(source, 0));
    }

    // Quarters white, grey, black and light grey; where each is after the turn, by the table of the EXIF standard.
    [TestMethod]
    [DataRow((byte)1, "0123")]
    [DataRow((byte)2, "1032")]
    [DataRow((byte)3, "3210")]
    [DataRow((byte)4, "2301")]
    [DataRow((byte)5, "0213")]
    [DataRow((byte)6, "2031")]
    [DataRow((byte)7, "3120")]
    [DataRow((byte)8, "1302")]
    public void Orientation_IsApplied(byte orientation, string expected)
    {
        byte[] levels = [255, 90, 0, 180];
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["a"]);
        Directory.CreateDirectory(folder["b"]);
        using var bitmap = new SKBitmap(32, 16);
        for (int y = 0; y < 16; y++)
        {
            for (int x = 0; x < 32; x++)
            {
                byte level = levels[(y / 8 * 2) + (x / 16)];
                bitmap.SetPixel(x, y, new SKColor(level, level, level));
            }
        }
        ShapePictures.SaveTurned(folder["a/x.jpg"], bitmap, orientation);
        ShapePictures.Save(folder["b/x.png"], 1, 0xFF000000);
        bool isTall = orientation >= 5;
        using ImageSource source = ImageFolder.Open(folder.FolderPath, ImageOptions.Raw with
        {
            Fit = ImageFit.Squash,
            Height = isTall ? 32 : 16,
            Width = isTall ? 16 : 32,
        });
        byte[] pixels = Pixels(source, 0);
        int width = isTall ? 16 : 32, height = isTall ? 32 : 16;
        for (int q = 0; q < 4; q++)
        {
            int at = (((q / 2 * height / 2) + (height / 4)) * width) + (q % 2 * width / 2) + (width / 4);
            Assert.AreEqual(levels[expected[q] - '0'], pixels[at], 3.0, $"quarter {q}");
        }
    }

    private static DataFileException Refused(string folder, ImageOptions? options = null) =>
        Assert.ThrowsExactly<DataFileException>(() => ImageFolder.Open(folder, options ?? Raw2x2));

    [TestMethod]
    public void Folders_ThatAreNoData_AreRefused()
    {
        using var folder = new TemporaryFolder();
        StringAssert.Contains(Assert.ThrowsExactly<FileAccessException>(() => ImageFolder.Open(folder["none"])).Message,
            "There is no folder");
        StringAssert.Contains(Refused(folder.FolderPath).Message, "has no folder; expected a folder for each class, at least two");
        ShapePictures.Save(folder["x.png"], 1, 0xFF000000);
        StringAssert.Contains(Assert.ThrowsExactly<FileAccessException>(() => ImageFolder.Open(folder["x.png"])).Message, "is a file");
        Directory.CreateDirectory(folder["only"]);
        StringAssert.Contains(Refused(folder.FolderPath).Message, "one folder, 'only', and 1 pictures in no folder");
        Directory.CreateDirectory(folder["other"]);
        File.WriteAllText(folder["other/readme.txt"], "");
        string message = Refused(folder.FolderPath).Message;
        StringAssert.Contains(message, "folders without a picture: 'only' (empty), 'other' (1 files of other kinds)");
    }

    [TestMethod]
    public void DamagedPictures_AreNamedAtOnce_OrLeftOutAndListed()
    {
        using var folder = new TemporaryFolder();
        ShapePictures.Draw(folder.FolderPath, 4);
        File.WriteAllText(folder["circle/000.png"], "no picture at all, whatever its name");
        File.WriteAllBytes(folder["star/001.jpg"], []);
        byte[] whole = File.ReadAllBytes(folder["square/001.jpg"]);
        File.WriteAllBytes(folder["square/001.jpg"], whole[..(whole.Length / 2)]);
        ImageOptions options = Raw2x2 with { MaxPixels = 5000 };
        ShapePictures.Save(folder["cross/000.png"], 100, new uint[5001 / 100 * 100 + 100]);
        // Headers tell of three; the one that is cut off has a good header.
        string message = Refused(folder.FolderPath, options).Message;
        foreach (string part in new[] { "has 3 of 20 pictures that can't be read", "000.png': it is no JPEG, PNG, WebP, BMP or GIF file",
            "001.jpg': the file is empty", "it has 100 × 51 = 5100 pixels; at most 5000 are allowed (ImageOptions.MaxPixels)",
            "set ImageOptions.Damaged to Skip" })
        {
            StringAssert.Contains(message, part);
        }
        message = Refused(folder.FolderPath, options with { Scan = ImageScan.Pixels }).Message;
        StringAssert.Contains(message, "has 4 of 20 pictures");
        StringAssert.Contains(message, "its pixels can't be decoded (the file is cut off)");
        using ImageSource unseen = ImageFolder.Open(folder.FolderPath, options with { Scan = ImageScan.None });
        Assert.AreEqual(20, unseen.Count);
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() => Pixels(unseen, 9)).Message, "square/001.jpg".Replace('/',
            Path.DirectorySeparatorChar));
        using ImageSource left = ImageFolder.Open(folder.FolderPath, options with { Damaged = DamagedImages.Skip });
        Assert.AreEqual(16, left.Count);
        CollectionAssert.AreEqual(new[] { "circle", "cross", "square", "star" },
            left.Skipped.Select(s => Path.GetFileName(Path.GetDirectoryName(s.Path))).ToArray());
        for (int row = 0; row < 16; row++) Assert.HasCount(12, Pixels(left, row));
        CollectionAssert.AreEqual(new long[] { 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4 },
            Enumerable.Range(0, 16).Select(i => Label(left, i)).ToArray());
        foreach (string file in Directory.GetFiles(folder["star"])) File.WriteAllBytes(file, [1, 2, 3]);
        StringAssert.Contains(Refused(folder.FolderPath, options with { Damaged = DamagedImages.Skip }).Message,
            "class 'star' has none left");
    }

    // Every byte of a picture that is changed, and every length that it is cut to, is read or refused; nothing else.
    [TestMethod]
    public void MutatedPictures_NeverCrash()
    {
        using var folder = new TemporaryFolder();
        ShapePictures.Draw(folder["whole"], 3, size: 12);
        var random = new Random(1);
        string file = folder["x.bin"];
        int refused = 0;
        foreach (string path in Directory.GetFiles(folder["whole/star"]))
        {
            byte[] whole = File.ReadAllBytes(path);
            for (int i = 0; i < 150; i++)
            {
                byte[] changed = i % 2 == 0 ? [.. whole] : whole[..random.Next(whole.Length)];
                for (int k = 0; k < 3 && changed.Length > 0; k++) changed[random.Next(changed.Length)] = (byte)random.Next(256);
                File.WriteAllBytes(file, changed);
                (Picture? picture, string? problem) = PictureReader.Read(file, 1 << 20, ImageColor.White);
                Assert.AreNotEqual(picture is null, problem is null);
                refused += problem is null ? 0 : 1;
            }
        }
        Assert.IsGreaterThan(200, refused);
    }

    [TestMethod]
    public void Cache_KeepsWhatFits()
    {
        using var folder = new TemporaryFolder();
        foreach (string name in new[] { "a", "b" }) Directory.CreateDirectory(folder[name]);
        foreach (string file in new[] { "a/1.png", "a/2.png", "b/3.png" }) ShapePictures.Save(folder[file], 2, 0xFF010203, 0xFF010203);
        // Two pixels, six bytes: two of three fit.
        using ImageSource source = ImageFolder.Open(folder.FolderPath, Raw2x2 with { CacheBytes = 13 });
        for (int row = 0; row < 3; row++) Pixels(source, row);
        foreach (string file in Directory.GetFiles(folder.FolderPath, "*.png", SearchOption.AllDirectories)) File.Delete(file);
        Pixels(source, 0);
        Pixels(source, 1);
        StringAssert.Contains(Assert.ThrowsExactly<DataFileException>(() => Pixels(source, 2)).Message, "there is no such file");
    }
}
