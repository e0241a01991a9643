use super::*;

/// A member of a layer: kind, path and, for links, the target.
type Member = (&'static str, &'static str, &'static str);

fn toc(members: &[Member]) -> Toc {
    let mut toc = Toc::default();
    for (number, (kind, name, link_name)) in members.iter().enumerate() {
        toc.push(&FileMetadata {
            name: name.as_bytes(),
            kind: kind.as_bytes(),
            link_name: link_name.as_bytes(),
            offset: 512 * i64::try_from(number).unwrap(),
            size: 1,
            ..FileMetadata::default()
        });
    }
    toc
}

fn merged(layers: &[&[Member]]) -> Result<Tree, Unpackable> {
    let mut tree = Tree::default();
    for (number, members) in layers.iter().enumerate() {
        tree.apply(number, &toc(members))?;
    }
    Ok(tree)
}

/// Every path, with the layer that it comes from.
fn paths(layers: &[&[Member]]) -> Vec<String> {
    let tree = merged(layers).unwrap();
    let root = tree.find(b"/", true).unwrap();
    let all = tree.all(root).into_iter();
    all.map(|(path, node)| {
        let inode = tree.inode(node);
        format!("{} {} {}", shown(&path), inode.kind.as_str(), inode.layer)
    })
    .collect()
}

#[test]
fn upper_layers_replace_what_is_below() {
    let lower: &[Member] = &[
        ("dir", "d/", ""),
        ("reg", "d/a", ""),
        ("reg", "f", ""),
        ("dir", "g", ""),
        ("reg", "g/x", ""),
    ];
    let upper: &[Member] = &[
        ("dir", "./d", ""),
        ("reg", "/d/b", ""),
        ("dir", "f", ""),
        ("reg", "g", ""),
    ];
    assert_eq!(
        paths(&[lower, upper]),
        ["d dir 1", "d/a reg 0", "d/b reg 1", "f dir 1", "g reg 1"]
    );
}

#[test]
fn whiteouts_hide_the_layers_below_only() {
    let lower: &[Member] = &[
        ("reg", "a", ""),
        ("dir", "d", ""),
        ("reg", "d/x", ""),
        ("reg", "d/y", ""),
        ("reg", "o/x", ""),
    ];
    // Wherever in their layer they stand, and whatever else stands there.
    let upper: &[Member] = &[
        ("reg", "a", ""),
        ("reg", ".wh.a", ""),
        ("reg", "d/.wh.x", ""),
        ("reg", "o/new", ""),
        ("reg", "o/.wh..wh..opq", ""),
        ("reg", ".wh.absent", ""),
        ("reg", "nowhere/.wh.x", ""),
        ("reg", ".wh..wh.plnk", ""),
        ("reg", "a/.wh..wh..opq", ""),
    ];
    assert_eq!(
        paths(&[lower, upper]),
        [
            "a reg 1",
            "d dir 0",
            "d/y reg 0",
            // Runtimes make the directory of a whiteout, whatever it hides.
            "nowhere dir 1",
            "o dir 0",
            "o/new reg 1"
        ]
    );
    let gone: &[Member] = &[("reg", ".wh.d", "")];
    assert_eq!(paths(&[lower, gone]), ["a reg 0", "o dir 0", "o/x reg 0"]);
    let again: &[Member] = &[("reg", ".wh.d", ""), ("reg", "d/z", "")];
    assert_eq!(
        paths(&[lower, again]),
        ["a reg 0", "d dir 1", "d/z reg 1", "o dir 0", "o/x reg 0"]
    );
}

#[test]
fn a_whiteout_leaves_what_its_own_layer_has() {
    let lower: &[Member] = &[
        ("reg", "d/old", ""),
        ("reg", "e/f/old", ""),
        ("reg", "e/old", ""),
        ("reg", "e/g/old", ""),
    ];
    let upper: &[Member] = &[
        ("reg", "d/new", ""),
        ("reg", ".wh.d", ""),
        ("reg", "e/f/new", ""),
        ("dir", "e/g", ""),
        ("reg", "e/.wh..wh..opq", ""),
        ("reg", "e/.wh..wh..opq", ""),
        ("reg", "e/late", ""),
    ];
    let left = [
        "d dir 0",
        "d/new reg 1",
        "e dir 0",
        "e/f dir 0",
        "e/f/new reg 1",
        "e/g dir 1",
        "e/late reg 1",
    ];
    assert_eq!(paths(&[lower, upper]), left);
    // A whiteout in it does not make a directory the layer's own.
    let hollow: &[Member] = &[
        ("reg", "d/.wh.old", ""),
        ("reg", ".wh.d", ""),
        ("reg", "new/.wh..wh..opq", ""),
        ("reg", ".wh.new", ""),
        ("reg", ".wh.e", ""),
    ];
    assert!(paths(&[lower, hollow]).is_empty());
    // To the next layer all of that is lower.
    let gone: &[Member] = &[("reg", ".wh.d", ""), ("reg", "e/f/.wh..wh..opq", "")];
    let left = ["e dir 0", "e/f dir 0", "e/g dir 1", "e/late reg 1"];
    assert_eq!(paths(&[lower, upper, gone]), left);
}

#[test]
fn links_and_whiteouts_meet_what_the_entries_before_them_left() {
    let lower: &[Member] = &[("reg", "a/f", ""), ("reg", "b/a", "")];
    let linked: &[Member] = &[("hardlink", "a/g", "a/f"), ("reg", "a/.wh.f", "")];
    let left = ["a dir 0", "a/g reg 0", "b dir 0", "b/a reg 0"];
    assert_eq!(paths(&[lower, linked]), left);
    let unlinked: &[Member] = &[("reg", "a/.wh.f", ""), ("hardlink", "a/g", "a/f")];
    assert!(matches!(
        merged(&[lower, unlinked]),
        Err(Unpackable::HardLink { .. })
    ));
    // The whiteout goes through the link of its own layer.
    let through: &[Member] = &[("symlink", "a", "b"), ("reg", "a/.wh.a", "")];
    assert_eq!(paths(&[lower, through]), ["a symlink 1", "b dir 0"]);
    // What a link replaces is gone before it is made.
    for target in ["a/f", "a"] {
        let itself: &[Member] = &[("hardlink", target, "a/f")];
        assert!(
            matches!(merged(&[lower, itself]), Err(Unpackable::HardLink { .. })),
            "{target}"
        );
    }
}

#[test]
fn hard_links_share_what_they_named_then() {
    let lower: &[Member] = &[("reg", "a", ""), ("hardlink", "b", "./a")];
    let upper: &[Member] = &[("reg", "a", ""), ("hardlink", "c", "/b")];
    let tree = merged(&[lower, upper]).unwrap();
    let node = |path: &[u8]| tree.find(path, true).unwrap();
    assert!(tree.are_same(node(b"b"), node(b"c")));
    assert!(!tree.are_same(node(b"a"), node(b"b")));
    assert_eq!(tree.inode(node(b"c")).layer, 0);
    assert_eq!(tree.inode(node(b"a")).layer, 1);
    for target in ["absent", "d", ""] {
        let layer: &[Member] = &[("dir", "d", ""), ("hardlink", "x", target)];
        assert!(
            matches!(merged(&[layer]), Err(Unpackable::HardLink { .. })),
            "{target:?}"
        );
    }
}

#[test]
fn symbolic_links_stay_inside() {
    let lower: &[Member] = &[
        ("reg", "usr/bin/sh", ""),
        ("symlink", "bin", "usr/bin"),
        ("symlink", "up", "../../../usr"),
        ("symlink", "abs", "/up/bin/sh"),
        ("symlink", "usr/back", "../bin/../../abs"),
        ("symlink", "one", "two"),
        ("symlink", "two", "one"),
        ("symlink", "lost", "nowhere"),
    ];
    // As a runtime does, a layer writes through the links of those below.
    let upper: &[Member] = &[("reg", "bin/ls", ""), ("reg", "lost/found", "")];
    let tree = merged(&[lower, upper]).unwrap();
    let find = |path: &[u8]| tree.find(path, true);
    let sh = find(b"/usr/bin/sh").unwrap();
    for path in [
        &b"bin/sh"[..],
        b"/up/bin/sh",
        b"abs",
        b"usr/back",
        b"bin/../back",
    ] {
        assert_eq!(find(path), Ok(sh), "{}", shown(path));
    }
    assert!(find(b"usr/bin/ls").is_ok() && find(b"nowhere/found").is_ok());
    assert_eq!(find(b"../../usr/bin/sh"), Ok(sh));
    assert_eq!(find(b"one"), Err(NotFound::Links));
    assert_eq!(find(b"bin/zsh"), Err(NotFound::Missing("zsh".to_owned())));
    assert_eq!(
        find(b"bin/sh/x"),
        Err(NotFound::NotADirectory("x".to_owned()))
    );
    let link = tree.find(b"bin", false).unwrap();
    assert_eq!(tree.inode(link).kind, Kind::Symlink);
}

#[test]
fn what_no_runtime_can_unpack_is_refused() {
    let file: Member = ("reg", "f", "");
    assert!(matches!(
        merged(&[&[file, ("reg", "f/x", "")]]),
        Err(Unpackable::Path { .. })
    ));
    assert!(matches!(
        merged(&[&[("sock", "s", "")]]),
        Err(Unpackable::Kind { .. })
    ));
    for root in ["", "/", "./", "a/.."] {
        assert!(matches!(
            merged(&[&[("symlink", root, "x")]]),
            Err(Unpackable::Root(Kind::Symlink))
        ));
    }
    for whiteout in [".wh.", "d/.wh..", "d/.wh..."] {
        assert_eq!(
            merged(&[&[("reg", whiteout, "")]]).err(),
            Some(Unpackable::Whiteout(whiteout.to_owned()))
        );
    }
    assert!(matches!(
        merged(&[&[file, ("reg", "f/.wh.x", "")]]),
        Err(Unpackable::Path { .. })
    ));
    let mut long = Toc::default();
    long.push(&FileMetadata {
        name: &[b'a'; 5000],
        kind: b"reg",
        ..FileMetadata::default()
    });
    assert_eq!(
        Tree::default().apply(0, &long),
        Err(Unpackable::PathLength(5000))
    );
    let mut negative = Toc::default();
    negative.push(&FileMetadata {
        name: b"a",
        kind: b"reg",
        size: -1,
        ..FileMetadata::default()
    });
    assert_eq!(
        Tree::default().apply(0, &negative),
        Err(Unpackable::Payload("a".to_owned()))
    );
}

#[test]
fn dots_in_a_layer_s_paths_stay_inside() {
    let layer: &[Member] = &[
        ("reg", "../../a", ""),
        ("reg", "d/../b", ""),
        ("dir", "./", ""),
    ];
    assert_eq!(paths(&[layer]), ["a reg 0", "b reg 0"]);
}

#[test]
fn what_leads_into_a_layer_that_was_left_out_is_left_out_too() {
    let members: &[Member] = &[
        ("reg", "f", ""),
        ("reg", "f/x", ""),
        ("hardlink", "l", "below"),
        ("reg", "g", ""),
    ];
    assert!(merged(&[members]).is_err());
    let mut tree = Tree::default();
    tree.leave_out(0);
    tree.apply(1, &toc(members)).unwrap();
    let names: Vec<_> = tree.children(NodeId(ROOT)).map(|(name, _)| name).collect();
    assert_eq!(names, [b"f", b"g"]);
    // Whatever no table of contents may hold is no matter of another layer.
    let strange = tree.apply(2, &toc(&[("sock", "s", "")]));
    assert!(matches!(strange, Err(Unpackable::Kind { .. })));
}

#[test]
fn what_a_layer_that_was_left_out_may_have_changed_is_doubtful() {
    let below: &[Member] = &[
        ("reg", "low", ""),
        ("symlink", "link", "high"),
        ("reg", "was/file", ""),
    ];
    let above: &[Member] = &[
        ("reg", "high", ""),
        ("reg", "d/high", ""),
        ("hardlink", "hard", "low"),
        ("hardlink", "lost", "unknown"),
        // The layer between must have made a directory of the file.
        ("reg", "was/file/new", ""),
    ];
    // What was there is gone, though the link that replaces it leads nowhere.
    let replaced: &[Member] = &[
        ("hardlink", "high", "unknown"),
        ("hardlink", "low", "unknown"),
    ];
    let mut tree = Tree::default();
    tree.apply(0, &toc(below)).unwrap();
    tree.leave_out(1);
    tree.apply(2, &toc(above)).unwrap();
    for (path, doubt) in [
        (&b"low"[..], Some(1)),
        (b"link", Some(1)),
        (b"hard", Some(1)),
        (b"high", None),
        (b"d/high", None),
        (b"d/../high", None),
        (b"was/file/new", None),
        (b"nowhere", None),
    ] {
        assert_eq!(tree.doubt(path), doubt, "{}", shown(path));
    }
    assert!(tree.find(b"lost", true).is_err() && tree.find(b"nowhere", true).is_err());
    tree.apply(3, &toc(replaced)).unwrap();
    assert!(tree.find(b"high", true).is_err() && tree.find(b"low", true).is_err());
    tree.leave_out(4);
    assert_eq!(tree.doubt(b"d/high"), Some(4));
}

/// Directories of one letter each: a path of 4 KB makes 2,000 of them.
#[test]
fn a_file_system_has_no_more_names_than_there_is_room_for() {
    let path = |number: usize| format!("{number}/{}f", "a/".repeat(2_000));
    let names: Vec<_> = (0..40).map(path).collect();
    let mut toc = Toc::default();
    for name in &names {
        toc.push(&FileMetadata {
            name: name.as_bytes(),
            kind: b"reg",
            ..FileMetadata::default()
        });
    }
    assert_eq!(Tree::within(1 << 30).apply(0, &toc), Ok(()));
    let refused = Tree::within(64 << 20).apply(0, &toc);
    assert_eq!(refused, Err(Unpackable::TooLarge));
}
